/** CloudEvents 1.0.2, JSON event format: the required attributes, and the form of the optional ones that are used. */

export const cloudEventSchema = {
  type: 'object',
  required: ['specversion', 'id', 'source', 'type'],
  additionalProperties: false,
  properties: {
    specversion: { const: '1.0' },
    id: { type: 'string', minLength: 1 },
    source: { type: 'string', minLength: 1, format: 'uri-reference' },
    type: { type: 'string', minLength: 1, pattern: '^com\\.alert-relay\\.[a-z.]+$' },
    subject: { type: 'string', minLength: 1, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f\\ufffe\\uffff]+$' },
    time: { type: 'string', format: 'date-time' },
    datacontenttype: { const: 'application/json' },
    data: { type: 'object' },
  },
}
