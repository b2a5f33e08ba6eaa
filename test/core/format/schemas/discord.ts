/** A message for Discord's Execute Webhook: its documentation of webhooks, embeds and their limits. */

export const discordSchema = {
  type: 'object',
  required: ['embeds', 'allowed_mentions'],
  additionalProperties: false,
  properties: {
    embeds: {
      type: 'array',
      minItems: 1,
      maxItems: 10,
      items: {
        type: 'object',
        required: ['title'],
        additionalProperties: false,
        properties: {
          title: { type: 'string', minLength: 1, maxLength: 256 },
          description: { type: 'string', minLength: 1, maxLength: 4096 },
          url: { type: 'string', format: 'uri', pattern: '^https?://', maxLength: 2048 },
          timestamp: { type: 'string', format: 'date-time' },
          color: { type: 'integer', minimum: 0, maximum: 0xffffff },
          fields: {
            type: 'array',
            maxItems: 25,
            items: {
              type: 'object',
              required: ['name', 'value'],
              additionalProperties: false,
              properties: {
                name: { type: 'string', minLength: 1, maxLength: 256 },
                value: { type: 'string', minLength: 1, maxLength: 1024 },
                inline: { type: 'boolean' },
              },
            },
          },
        },
      },
    },
    components: {
      type: 'array',
      minItems: 1,
      maxItems: 5,
      items: {
        type: 'object',
        required: ['type', 'components'],
        additionalProperties: false,
        properties: {
          type: { const: 1 },
          components: {
            type: 'array',
            minItems: 1,
            maxItems: 5,
            items: {
              type: 'object',
              required: ['type', 'style', 'label', 'url'],
              additionalProperties: false,
              properties: {
                type: { const: 2 },
                style: { const: 5 },
                label: { type: 'string', minLength: 1, maxLength: 80 },
                url: { type: 'string', format: 'uri', pattern: '^https?://', maxLength: 512 },
              },
            },
          },
        },
      },
    },
    allowed_mentions: {
      type: 'object',
      required: ['parse'],
      additionalProperties: false,
      properties: { parse: { type: 'array', maxItems: 0 } },
    },
  },
}
