/**
 * An own source: an operator's mapping of messages that no built-in source knows. Its schemas, and what they cannot express.
 * Pure.
 */
import { Type, type Static } from 'typebox'
import { filterErrors } from '../filter/complexity.js'
import { refuseFields, type FieldError } from '../platform/errors.js'
import { idPattern } from '../platform/id.js'
import type { JsonObject } from '../platform/json.js'
import { checkExpression, MAX_EXPRESSION_LENGTH } from '../platform/jsonata-syntax.js'
import { NAME, Time, WITHOUT_NUL } from '../platform/schema.js'
import { topicErrors, TopicPatterns } from '../platform/topic-pattern.js'
import { SOURCE_NAMES } from './source.js'

/** Every message that nothing else recognises is compared with each. */
export const MAX_SOURCES = 100

const name = Type.String({
  ...NAME,
  description:
    "Unique, and none of the built-in sources': it is the `relay.source` and the beginning of the alert ids. Sources are asked in " +
    'the order of their names. Under another name the same finding is another alert.',
})
const description = Type.String({ maxLength: 500, ...WITHOUT_NUL, description: 'For people.' })
const topics = TopicPatterns('The topics whose messages it reads')
const filter = Type.Unsafe<JsonObject>({
  type: 'object',
  additionalProperties: true,
  description:
    'Which messages it reads: a filter policy over the message itself, in the language of the filters of webhooks. `{}`: every ' +
    'message that no built-in source recognises, texts and lists too.',
  examples: [{ product: ['acme'] }],
})
const mapping = Type.String({
  minLength: 1,
  maxLength: MAX_EXPRESSION_LENGTH,
  description:
    'A JSONata expression over the message, for one change or a list of them; no result leaves the message to the next source. A ' +
    'change has an `id` (a text or an integer, the same in every message about it), and may have `title`, `severity`, `state` ' +
    '(active or resolved), `reason`, `context` (ECS names; values or lists), `url`, `account`, `region`, `description`, ' +
    "`match_count`, `first_seen`, `updated_at`. Long numbers are strings; `$now()` is the message's Timestamp.",
})
const enabled = Type.Boolean({ description: 'False: it reads no message.' })

export const EXAMPLE_SOURCE = {
  name: 'acme',
  filter: { product: ['acme'] },
  mapping:
    '{ "id": incident.id, "title": incident.name, "severity": incident.level, "context": { "source.ip": incident.ips } }',
}

/** The request that makes a source. */
export const SourceCreate = Type.Object(
  {
    name,
    description: Type.Optional({ ...description, default: '' }),
    topics: Type.Optional({ ...topics, default: [] }),
    filter,
    mapping,
    enabled: Type.Optional({ ...enabled, default: true }),
  },
  { additionalProperties: false, examples: [EXAMPLE_SOURCE] },
)
export type SourceCreate = Static<typeof SourceCreate>

/** The request that changes a source: any of its fields. */
export const SourcePatch = Type.Object(
  {
    name: Type.Optional(name),
    description: Type.Optional(description),
    topics: Type.Optional(topics),
    filter: Type.Optional(filter),
    mapping: Type.Optional(mapping),
    enabled: Type.Optional(enabled),
  },
  { additionalProperties: false, minProperties: 1, examples: [{ enabled: false }] },
)

export const OwnSource = Type.Object(
  {
    id: Type.String({ pattern: idPattern('src') }),
    ...{ name, description, topics, filter, mapping, enabled },
    created_at: Time,
    updated_at: Time,
  },
  { $id: 'Source' },
)
export type OwnSource = Static<typeof OwnSource>

/**
 * Checks what the schema of a source cannot express.
 * @throws Refusal 'invalid_request' naming every wrong field
 */
export function checkSource(source: Pick<OwnSource, 'name' | 'topics' | 'filter' | 'mapping'>): void {
  refuseFields(sourceErrors(source))
}

/** @param field the JSON pointer of the source in the request */
export function sourceErrors(
  source: Pick<OwnSource, 'name' | 'topics' | 'filter' | 'mapping'>,
  field = '',
): FieldError[] {
  const syntax = checkExpression(source.mapping)
  const isTaken = [...SOURCE_NAMES, 'matano'].includes(source.name)
  const taken = 'is the name of a built-in source, whose alerts have ids of their own: choose another'
  return [
    ...(isTaken ? [{ path: '/name', detail: taken }] : []),
    ...topicErrors(source.topics),
    ...filterErrors(source.filter, '/filter'),
    ...(syntax === undefined ? [] : [{ path: '/mapping', detail: syntax }]),
  ].map(({ path, detail }) => ({ path: field + path, detail }))
}
