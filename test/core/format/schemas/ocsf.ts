/** OCSF 1.7.0: the required attributes of Detection Finding and Base Event, and the types of those that are used. */

const text = { type: 'string', minLength: 1 }
const timestamp = { type: 'integer', minimum: 0, maximum: 9_007_199_254_740_991 }

const metadata = {
  type: 'object',
  required: ['product', 'version'],
  additionalProperties: false,
  properties: {
    version: { const: '1.7.0' },
    uid: text,
    log_name: text,
    logged_time: timestamp,
    product: {
      type: 'object',
      additionalProperties: false,
      properties: { name: text, vendor_name: text, version: text },
    },
  },
}

const severityCaptions = {
  0: 'Unknown',
  1: 'Informational',
  2: 'Low',
  3: 'Medium',
  4: 'High',
  5: 'Critical',
  6: 'Fatal',
}
const severity = [
  ...Object.entries(severityCaptions).map(([id, caption]) => ({
    properties: { severity_id: { const: Number(id) }, severity: { const: caption } },
  })),
  { properties: { severity_id: { const: 99 }, severity: text } },
]

const common = {
  activity_name: text,
  category_name: text,
  class_name: text,
  type_name: text,
  severity_id: { type: 'integer' },
  severity: text,
  time: timestamp,
  message: text,
  metadata,
  unmapped: { type: 'object' },
}
const required = ['activity_id', 'category_uid', 'class_uid', 'type_uid', 'severity_id', 'time', 'metadata']

const findingInfo = {
  type: 'object',
  required: ['uid'],
  additionalProperties: false,
  properties: {
    src_url: { type: 'string', format: 'uri' },
    uid: text,
    title: text,
    created_time: timestamp,
    first_seen_time: timestamp,
    last_seen_time: timestamp,
    modified_time: timestamp,
    data_sources: { type: 'array', items: { type: 'string' } },
    related_events_count: { type: 'integer', minimum: 0, maximum: 2_147_483_647 },
  },
}

const observable = {
  type: 'object',
  required: ['name', 'type_id'],
  additionalProperties: false,
  properties: {
    name: text,
    type: text,
    type_id: { type: 'integer', minimum: 1, maximum: 9 },
    value: { type: 'string' },
  },
}

const finding = {
  type: 'object',
  required: [...required, 'finding_info'],
  additionalProperties: false,
  properties: {
    ...common,
    category_uid: { const: 2 },
    class_uid: { const: 2004 },
    activity_id: { enum: [1, 2, 3] },
    type_uid: { enum: [200401, 200402, 200403] },
    status_id: { enum: [1, 3, 4, 5] },
    status: { enum: ['New', 'Suppressed', 'Resolved', 'Archived'] },
    is_alert: { type: 'boolean' },
    finding_info: findingInfo,
    remediation: {
      type: 'object',
      required: ['desc'],
      additionalProperties: false,
      properties: { desc: text, references: { type: 'array', items: { type: 'string', format: 'uri' } } },
    },
    observables: { type: 'array', minItems: 1, maxItems: 200, items: observable },
  },
}

const baseEvent = {
  type: 'object',
  required,
  additionalProperties: false,
  properties: {
    ...common,
    category_uid: { const: 0 },
    class_uid: { const: 0 },
    activity_id: { const: 99 },
    type_uid: { const: 99 },
  },
}

export const ocsfSchema = { allOf: [{ anyOf: severity }, { anyOf: [finding, baseEvent] }] }
