/**
 * A message for a Teams Workflows webhook with one Adaptive Card: the envelope of learn.microsoft.com, and of the card
 * what adaptivecards.io says of RichTextBlock, TextRun, ActionSet and Action.OpenUrl (version 1.4). A TextBlock or FactSet reads
 * Markdown, so neither is in it.
 */

const textRun = {
  type: 'object',
  required: ['type', 'text'],
  additionalProperties: false,
  properties: {
    type: { const: 'TextRun' },
    text: { type: 'string', minLength: 1 },
    size: { enum: ['default', 'small', 'medium', 'large', 'extraLarge'] },
    weight: { enum: ['default', 'lighter', 'bolder'] },
    color: { enum: ['default', 'dark', 'light', 'accent', 'good', 'warning', 'attention'] },
    isSubtle: { type: 'boolean' },
  },
}

const richTextBlock = {
  type: 'object',
  required: ['type', 'inlines'],
  additionalProperties: false,
  properties: {
    type: { const: 'RichTextBlock' },
    inlines: { type: 'array', minItems: 1, items: textRun },
    spacing: { enum: ['default', 'none', 'small', 'medium', 'large', 'extraLarge', 'padding'] },
    separator: { type: 'boolean' },
  },
}

const openUrl = {
  type: 'object',
  required: ['type', 'title', 'url'],
  additionalProperties: false,
  properties: {
    type: { const: 'Action.OpenUrl' },
    title: { type: 'string', minLength: 1 },
    url: { type: 'string', format: 'uri', pattern: '^https?://' },
  },
}

const actionSet = {
  type: 'object',
  required: ['type', 'actions'],
  additionalProperties: false,
  properties: { type: { const: 'ActionSet' }, actions: { type: 'array', minItems: 1, maxItems: 6, items: openUrl } },
}

const card = {
  type: 'object',
  required: ['type', 'version', 'body'],
  additionalProperties: false,
  properties: {
    $schema: { const: 'http://adaptivecards.io/schemas/adaptive-card.json' },
    type: { const: 'AdaptiveCard' },
    version: { const: '1.4' },
    msteams: { type: 'object' },
    body: { type: 'array', minItems: 1, items: { anyOf: [richTextBlock, actionSet] } },
  },
}

export const teamsSchema = {
  type: 'object',
  required: ['type', 'attachments'],
  additionalProperties: false,
  properties: {
    type: { const: 'message' },
    attachments: {
      type: 'array',
      minItems: 1,
      maxItems: 1,
      items: {
        type: 'object',
        required: ['contentType', 'content'],
        additionalProperties: false,
        properties: {
          contentType: { const: 'application/vnd.microsoft.card.adaptive' },
          contentUrl: { type: 'null' },
          content: card,
        },
      },
    },
  },
}
