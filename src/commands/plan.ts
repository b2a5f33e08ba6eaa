/**
 * Plans the changes that make the webhooks of a relay match a file. Pure.
 *
 * Guarantee: once a plan is carried out, the next one is empty. Webhooks without a name are never changed. The printed plan
 * contains no secret: neither a field that the relay masks nor the value of a variable.
 */
import { isJsonObject, type Json, type JsonObject } from '../core/platform/json.js'
import { MASK } from '../core/webhook/credentials-mask.js'
import { WebhookPatch, type WebhookView } from '../core/webhook/webhook.js'
import { areOfOneOrigin } from '../core/webhook/web-url.js'
import { toView } from '../core/webhook/webhook-check.js'
import { printable } from './command.js'
import { hasReference } from './references.js'
import type { Desired } from './registry-file.js'

/** A webhook of the relay, with its signing secret when the file sets one. */
export type Current = WebhookView & { secret?: string | null }

/** A difference at one path, with both values as printed. */
interface Difference {
  path: string
  /** Undefined for a webhook that will be created. */
  before: string | undefined
  after: string
}

export type Change =
  | { kind: 'create'; desired: Desired; differences: Difference[] }
  | {
      kind: 'update'
      desired: Desired
      id: string
      /** The body of PATCH, with the fields that differ; undefined when none does. */
      patch: JsonObject | undefined
      /** The body of POST .../secret/rotate; undefined when the signing matches. */
      rotation: JsonObject | undefined
      differences: Difference[]
    }
  | { kind: 'delete'; name: string; id: string }

export interface Plan {
  /** In the order of their execution: deletions last. */
  changes: Change[]
  /** The number of webhooks that match the file, as far as the API shows. */
  unchanged: number
  /** Names of webhooks that are not in the file and are kept. */
  unlisted: string[]
  /** The number of webhooks without a name. */
  unnamed: number
  /** The number of masked secrets, which count as equal. */
  hidden: number
}

/** Fields with secrets, which the API masks. */
const MASKED_FIELDS = ['headers', 'auth', 'format_options', 'tls']
const COMPARED = Object.keys(WebhookPatch.properties).filter((field) => field !== 'name') as (keyof WebhookPatch)[]

/**
 * @param options.prune delete named webhooks that are not in the file
 * @param options.forceSecrets send masked secrets even if nothing else differs
 */
export function planChanges(
  desired: readonly Desired[],
  current: readonly Current[],
  { prune, forceSecrets }: { prune: boolean; forceSecrets: boolean },
): Plan {
  const known = new Map(current.flatMap((webhook) => (webhook.name === null ? [] : [[webhook.name, webhook]])))
  const names = new Set(desired.map(({ name }) => name))
  const plan: Plan = { changes: [], unchanged: 0, unlisted: [], unnamed: 0, hidden: 0 }
  for (const one of desired) {
    const webhook = known.get(one.name)
    const { change, hidden } = webhook ? updateOf(one, webhook, forceSecrets) : { change: creationOf(one), hidden: 0 }
    plan.hidden += hidden
    if (change) plan.changes.push(change)
    else plan.unchanged++
  }
  for (const { name, id } of current) {
    if (name === null) plan.unnamed++
    else if (!names.has(name) && prune) plan.changes.push({ kind: 'delete', name, id })
    else if (!names.has(name)) plan.unlisted.push(name)
  }
  return plan
}

/** Formats a change for printing. */
export function describe(change: Change): string[] {
  if (change.kind === 'delete') return [`- ${change.name} (${change.id})`]
  const { desired, differences } = change
  const lines = differences.map(({ path, before, after }) => {
    return `    ${path}: ${before === undefined ? '' : `${before} -> `}${after}`
  })
  return [change.kind === 'create' ? `+ ${desired.name}` : `~ ${desired.name} (${change.id})`, ...lines].map(printable)
}

function creationOf(desired: Desired): Change {
  const view = viewOf(desired)
  const differences = Object.keys(desired.source)
    .filter((field) => field !== 'name')
    .map((field) => ({ path: field, before: undefined, after: short(printed(view[field], desired.source[field])) }))
  return { kind: 'create', desired, differences }
}

function updateOf(
  desired: Desired,
  current: Current,
  forceSecrets: boolean,
): { change: Change | undefined; hidden: number } {
  const view = viewOf(desired)
  const now = current as unknown as JsonObject
  const patch: JsonObject = {}
  const differences: Difference[] = []
  let hidden = 0
  // the relay keeps them for the origin that they were given for alone
  const sendsSecrets = forceSecrets || !areOfOneOrigin(desired.webhook.url, current.url)
  for (const field of COMPARED) {
    const masks = MASKED_FIELDS.includes(field) ? countMasks(view[field]) : 0
    const isSame = isEqual(view[field], now[field])
    if (isSame && !(sendsSecrets && masks > 0)) {
      // the fingerprint of the certificate is compared, and it determines the private key
      if (field !== 'tls') hidden += masks
      continue
    }
    patch[field] = (desired.webhook as unknown as JsonObject)[field]!
    if (isSame) differences.push({ path: field, before: MASK, after: `${MASK} (sent again)` })
    else differences.push(...differencesAt(field, now[field], view[field], desired.source[field]))
  }
  const rotation = rotationOf(desired, current)
  const { source } = desired
  if (rotation?.signing) differences.push(...differencesAt('signing', now.signing, view.signing, source.signing))
  if (rotation?.secret) differences.push(...differencesAt('secret', MASK, MASK, source.secret))
  if (differences.length === 0) return { change: undefined, hidden }
  const { id } = current
  const change: Change = {
    ...{ kind: 'update', desired, id, rotation, differences },
    patch: Object.keys(patch).length > 0 ? patch : undefined,
  }
  return { change, hidden }
}

function rotationOf({ webhook: { signing }, secret }: Desired, current: Current): JsonObject | undefined {
  const isOther = secret !== undefined && secret !== current.secret
  if (signing === current.signing && !isOther) return undefined
  return { ...(signing === current.signing ? {} : { signing }), ...(secret === undefined ? {} : { secret }) }
}

/** The webhook as the API would show it. */
function viewOf({ webhook, secret }: Desired): JsonObject {
  return { ...(toView(webhook) as unknown as JsonObject), ...(secret === undefined ? {} : { secret: MASK }) }
}

/** Compares two values: objects member by member, anything else as a whole. */
function differencesAt(
  path: string,
  before: Json | undefined,
  after: Json | undefined,
  source: Json | undefined,
): Difference[] {
  if (isJsonObject(before) && isJsonObject(after) && (source === undefined || isJsonObject(source))) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])]
    return keys
      .filter((key) => !isEqual(member(before, key), member(after, key)))
      .flatMap((key) => {
        return differencesAt(`${path}.${key}`, member(before, key), member(after, key), member(source, key))
      })
  }
  // where the file has a variable, the value before is a secret too
  const isSecret = refersToSecrets(source) && before !== null && before !== undefined
  return [{ path, ...shortBoth(isSecret ? MASK : printed(before, undefined), printed(after, source)) }]
}

/** Formats a value as JSON, with references in place of their values; `none` when there is no value. */
function printed(value: Json | undefined, source: Json | undefined): string {
  if (value === undefined && source === undefined) return 'none'
  const text = JSON.stringify(withReferences(value ?? null, source))
  return text === `"${MASK}"` ? MASK : text
}

function withReferences(value: Json, source: Json | undefined): Json {
  if (typeof source === 'string' && hasReference(source)) return source
  if (Array.isArray(value)) {
    return value.map((item, i) => withReferences(item, Array.isArray(source) ? source[i] : undefined))
  }
  if (!isJsonObject(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, withReferences(item, member(source, key))]),
  )
}

function refersToSecrets(source: Json | undefined): boolean {
  if (typeof source === 'string') return hasReference(source)
  if (typeof source !== 'object' || source === null) return false
  return Object.values(source).some(refersToSecrets)
}

/** Equality of JSON values: the order of keys does not matter, and -0 equals 0. */
function isEqual(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => isEqual(item, b[i]))
  if (!isJsonObject(a) || !isJsonObject(b)) return false
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => isEqual(a[key], member(b, key)))
}

function member(value: Json | undefined, key: string): Json | undefined {
  return isJsonObject(value) && Object.hasOwn(value, key) ? value[key] : undefined
}

function countMasks(value: Json | undefined): number {
  if (value === MASK) return 1
  if (typeof value !== 'object' || value === null) return 0
  return Object.values(value).reduce<number>((sum, item) => sum + countMasks(item), 0)
}

/** Longer values are cut to this many characters, */
const MAX_PRINTED = 200
/** of which this many are before the first difference. */
const PRINTED_BEFORE = 40

function short(text: string, from = 0): string {
  const end = from + MAX_PRINTED
  return `${from > 0 ? '…' : ''}${text.slice(from, end)}${text.length > end ? '…' : ''}`
}

/** Cuts two long values around their first difference. */
function shortBoth(before: string, after: string): { before: string; after: string } {
  let same = 0
  while (same < before.length && before[same] === after[same]) same++
  const isLong = Math.max(before.length, after.length) > MAX_PRINTED
  const from = isLong ? Math.max(0, same - PRINTED_BEFORE) : 0
  return { before: short(before, from), after: short(after, from) }
}
