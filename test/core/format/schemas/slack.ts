/** A message for a Slack incoming webhook: what docs.slack.dev says of blocks, buttons and text objects. */

const plainText = (maxLength: number) => ({
  type: 'object',
  required: ['type', 'text'],
  additionalProperties: false,
  properties: {
    type: { const: 'plain_text' },
    text: { type: 'string', minLength: 1, maxLength },
    emoji: { type: 'boolean' },
  },
})

const mrkdwn = {
  type: 'object',
  required: ['type', 'text'],
  additionalProperties: false,
  properties: {
    type: { const: 'mrkdwn' },
    text: { type: 'string', minLength: 1, maxLength: 3000 },
    verbatim: { type: 'boolean' },
  },
}

const header = {
  type: 'object',
  required: ['type', 'text'],
  additionalProperties: false,
  properties: { type: { const: 'header' }, text: plainText(150) },
}

const section = {
  type: 'object',
  required: ['type'],
  anyOf: [{ required: ['text'] }, { required: ['fields'] }],
  additionalProperties: false,
  properties: {
    type: { const: 'section' },
    text: { anyOf: [plainText(3000), mrkdwn] },
    fields: { type: 'array', minItems: 1, maxItems: 10, items: plainText(2000) },
  },
}

const actions = {
  type: 'object',
  required: ['type', 'elements'],
  additionalProperties: false,
  properties: {
    type: { const: 'actions' },
    elements: {
      type: 'array',
      minItems: 1,
      maxItems: 25,
      items: {
        type: 'object',
        required: ['type', 'text', 'url'],
        additionalProperties: false,
        properties: {
          type: { const: 'button' },
          text: plainText(75),
          url: { type: 'string', format: 'uri', pattern: '^https?://', maxLength: 3000 },
        },
      },
    },
  },
}

const context = {
  type: 'object',
  required: ['type', 'elements'],
  additionalProperties: false,
  properties: {
    type: { const: 'context' },
    elements: { type: 'array', minItems: 1, maxItems: 10, items: { anyOf: [plainText(3000), mrkdwn] } },
  },
}

export const slackSchema = {
  type: 'object',
  required: ['text', 'blocks'],
  additionalProperties: false,
  properties: {
    text: { type: 'string', minLength: 1, maxLength: 4000 },
    mrkdwn: { type: 'boolean' },
    unfurl_links: { type: 'boolean' },
    unfurl_media: { type: 'boolean' },
    blocks: { type: 'array', minItems: 1, maxItems: 50, items: { anyOf: [header, section, actions, context] } },
  },
}
