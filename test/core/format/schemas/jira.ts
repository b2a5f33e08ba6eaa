/**
 * "Create issue" of Jira Cloud's REST API v3, and of the Atlassian Document Format's schema the nodes that are used: a text
 * node is never empty, a code block holds text without marks.
 */

const mark = {
  anyOf: [
    {
      type: 'object',
      required: ['type'],
      additionalProperties: false,
      properties: { type: { const: 'strong' } },
    },
    {
      type: 'object',
      required: ['type', 'attrs'],
      additionalProperties: false,
      properties: {
        type: { const: 'link' },
        attrs: {
          type: 'object',
          required: ['href'],
          additionalProperties: false,
          properties: { href: { type: 'string', format: 'uri', pattern: '^https?://' } },
        },
      },
    },
  ],
}

const text = {
  type: 'object',
  required: ['type', 'text'],
  additionalProperties: false,
  properties: {
    type: { const: 'text' },
    text: { type: 'string', minLength: 1 },
    marks: { type: 'array', items: mark },
  },
}

const block = (type: string, items: object, minItems: number) => ({
  type: 'object',
  required: ['type', 'content'],
  additionalProperties: false,
  properties: { type: { const: type }, content: { type: 'array', minItems, items } },
})

const paragraph = block('paragraph', text, 0)
const codeBlock = block(
  'codeBlock',
  { ...text, properties: { type: text.properties.type, text: text.properties.text } },
  0,
)
const panel = {
  type: 'object',
  required: ['type', 'attrs', 'content'],
  additionalProperties: false,
  properties: {
    type: { const: 'panel' },
    attrs: {
      type: 'object',
      required: ['panelType'],
      additionalProperties: false,
      properties: { panelType: { enum: ['info', 'note', 'warning', 'success', 'error'] } },
    },
    content: { type: 'array', minItems: 1, items: paragraph },
  },
}
const bulletList = block('bulletList', block('listItem', paragraph, 1), 1)

export const jiraSchema = {
  type: 'object',
  required: ['fields'],
  additionalProperties: false,
  properties: {
    fields: {
      type: 'object',
      required: ['project', 'issuetype', 'summary'],
      additionalProperties: false,
      properties: {
        project: {
          type: 'object',
          required: ['key'],
          additionalProperties: false,
          properties: { key: { type: 'string', minLength: 2 } },
        },
        issuetype: {
          type: 'object',
          required: ['name'],
          additionalProperties: false,
          properties: { name: { type: 'string', minLength: 1 } },
        },
        summary: { type: 'string', minLength: 1, maxLength: 255, pattern: '^[^\\r\\n]*$' },
        labels: { type: 'array', items: { type: 'string', minLength: 1, maxLength: 255, pattern: '^\\S+$' } },
        description: {
          type: 'object',
          required: ['type', 'version', 'content'],
          additionalProperties: false,
          properties: {
            type: { const: 'doc' },
            version: { const: 1 },
            content: { type: 'array', items: { anyOf: [panel, paragraph, codeBlock, bulletList] } },
          },
        },
      },
    },
  },
}
