/** An alert event for PagerDuty's Events API v2: "Send an Alert Event" in its developer documentation. */

const key = {
  routing_key: { type: 'string', minLength: 32, maxLength: 32 },
  dedup_key: { type: 'string', minLength: 1, maxLength: 255 },
}

const resolve = {
  type: 'object',
  required: ['routing_key', 'event_action', 'dedup_key'],
  additionalProperties: false,
  properties: { ...key, event_action: { const: 'resolve' } },
}

const trigger = {
  type: 'object',
  required: ['routing_key', 'event_action', 'dedup_key', 'payload'],
  additionalProperties: false,
  properties: {
    ...key,
    event_action: { const: 'trigger' },
    client: { type: 'string' },
    client_url: { type: 'string', format: 'uri' },
    links: {
      type: 'array',
      items: {
        type: 'object',
        required: ['href'],
        additionalProperties: false,
        properties: { href: { type: 'string', format: 'uri' }, text: { type: 'string' } },
      },
    },
    payload: {
      type: 'object',
      required: ['summary', 'source', 'severity'],
      additionalProperties: false,
      properties: {
        summary: { type: 'string', minLength: 1, maxLength: 1024 },
        source: { type: 'string', minLength: 1 },
        severity: { enum: ['critical', 'error', 'warning', 'info'] },
        timestamp: { type: 'string', format: 'date-time' },
        class: { type: 'string' },
        custom_details: { type: 'object' },
      },
    },
  },
}

export const pagerdutySchema = { anyOf: [trigger, resolve] }
