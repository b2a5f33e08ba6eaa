/**
 * The observables of an alert as OCSF lists them, from fields of the Elastic Common Schema. Pure.
 *
 * Guarantee: each is listed once, new ones first, and there are at most `MAX_OBSERVABLES`.
 */
import { flattenContext } from '../alert/context.js'
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { matchesPath } from '../platform/glob.js'
import { ECS_ADDRESSES, ECS_DOMAINS, ECS_EMAILS, ECS_HASHES, ECS_URLS } from '../alert/ecs-fields.js'
import { fit, oneLine } from './text.js'

const MAX_OBSERVABLES = 200
const MAX_VALUE = 1000
const MAX_NAME = 300

/** OCSF's observable.type_id with its caption, and the ECS 9 fields that hold one; `*` matches within a key, `**` any number. */
const TYPES: readonly { id: number; caption: string; fields: readonly string[] }[] = [
  {
    id: 1,
    caption: 'Hostname',
    fields: [...ECS_DOMAINS, 'host.hostname', 'host.name'],
  },
  { id: 2, caption: 'IP Address', fields: [...ECS_ADDRESSES, '*.ip'] },
  { id: 3, caption: 'MAC Address', fields: ['*.mac'] },
  { id: 4, caption: 'User Name', fields: ['user.name', 'user.*.name', '*.user.name', 'related.user'] },
  {
    id: 5,
    caption: 'Email Address',
    fields: [...ECS_EMAILS, 'user.email'],
  },
  { id: 6, caption: 'URL String', fields: ECS_URLS },
  { id: 7, caption: 'File Name', fields: ['file.name'] },
  { id: 8, caption: 'Hash', fields: ECS_HASHES },
  { id: 9, caption: 'Process Name', fields: ['process.name', 'process.parent.name'] },
]

const RULES = TYPES.flatMap(({ id, caption, fields }) =>
  fields.map((field) => ({ id, caption, pattern: field.split('.') })),
)

/** The observables in a body in the format `change`. `name` is the path in the OCSF event, where the body is `unmapped`. */
export function observablesOf(body: JsonObject): JsonObject[] {
  const { context_diff: diff, updated_alert: alert } = body
  const contexts: [string, Json | undefined][] = [
    ['unmapped.context_diff', diff],
    ['unmapped.updated_alert.context', isJsonObject(alert) ? alert.context : undefined],
  ]
  const found = new Map<string, JsonObject>()
  for (const [root, context] of contexts) {
    if (!isJsonObject(context)) continue
    for (const { path, value } of flattenContext(context)) {
      if (found.size === MAX_OBSERVABLES) break
      if (typeof value !== 'string' || value === '') continue
      const rule = RULES.find(({ pattern }) => matchesPath(pattern, path))
      const key = rule && `${rule.id} ${value}`
      if (!rule || !key || found.has(key)) continue
      const name = fit(oneLine(`${root}.${path.join('.')}`), MAX_NAME)
      found.set(key, { name, type: rule.caption, type_id: rule.id, value: fit(value.toWellFormed(), MAX_VALUE) })
    }
  }
  return [...found.values()]
}
