/**
 * Plans the changes that make the webhooks and sources of a relay match a file. Pure.
 *
 * Guarantee: once a plan is carried out, the next one is empty. Webhooks without a name are never changed, and neither is a list
 * that the file does not have. The printed plan contains no secret.
 */
import type { Json, JsonObject } from '../core/platform/json.js'
import { isMaskedUrl, maskUrl } from '../core/platform/url-mask.js'
import { MASK } from '../core/webhook/credentials-mask.js'
import { WebhookPatch, type WebhookView } from '../core/webhook/webhook.js'
import { areOfOneOrigin } from '../core/webhook/web-url.js'
import { toView } from '../core/webhook/webhook-check.js'
import { SourcePatch, type OwnSource } from '../core/source/own-source.js'
import { printable } from './command.js'
import { differencesAt, isEqual, printed, short, type Difference } from './differences.js'
import type { Desired, DesiredSource, Entry } from './registry-entry.js'
import type { Problem } from './registry-file.js'

/** A webhook of the relay, with its signing secret when the file sets one, and its whole URL when it was read. */
export type Current = WebhookView & { secret?: string | null; wholeUrl?: string | undefined }

/** What a change is of. */
export type Kind = 'webhook' | 'source'

export type Change = { of: Kind } & (
  | {
      kind: 'create'
      desired: Entry
      /** The relay makes a signing secret, which is told. */
      makesSecret: boolean
      differences: Difference[]
    }
  | {
      kind: 'update'
      desired: Entry
      id: string
      /** The body of PATCH, with the fields that differ; undefined when none does. */
      patch: JsonObject | undefined
      /** The body of POST .../secret/rotate; undefined when the signing matches. */
      rotation: JsonObject | undefined
      differences: Difference[]
    }
  | { kind: 'delete'; name: string; id: string }
)

export interface Plan {
  /** In the order of their execution: deletions of a kind last. */
  changes: Change[]
  /** The number of webhooks and sources that match the file, as far as the API shows. */
  unchanged: number
  /** What is not in the file and is kept. */
  unlisted: string[]
  /** The number of webhooks without a name. */
  unnamed: number
  /** The number of masked secrets, which count as equal. */
  hidden: number
}

/** Fields with secrets, which the API masks. */
const MASKED_FIELDS = ['headers', 'auth', 'format_options', 'tls']
const COMPARED_IN_SOURCES = Object.keys(SourcePatch.properties).filter((field) => field !== 'name')
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
  return planList('webhook', desired, current, prune, (one, webhook) =>
    webhook
      ? updateOf(one, webhook, forceSecrets)
      : { change: creationOf('webhook', one, viewOf(one), one.secret === undefined), hidden: 0 },
  )
}

/** @param options.prune delete sources that are not in the file */
export function planSources(
  desired: readonly DesiredSource[],
  current: readonly OwnSource[],
  { prune }: { prune: boolean },
): Plan {
  return planList('source', desired, current, prune, (one, source) => ({
    change: source ? sourceUpdateOf(one, source) : creationOf('source', one, one.fields, false),
    hidden: 0,
  }))
}

export function joinPlans(plans: readonly Plan[]): Plan {
  const sum = (count: (plan: Plan) => number) => plans.reduce((total, plan) => total + count(plan), 0)
  return {
    changes: plans.flatMap(({ changes }) => changes),
    unchanged: sum(({ unchanged }) => unchanged),
    unlisted: plans.flatMap(({ unlisted }) => unlisted),
    unnamed: sum(({ unnamed }) => unnamed),
    hidden: sum(({ hidden }) => hidden),
  }
}

/** @param changeOf the change of one that the relay has, or does not have; and how many masked secrets count as equal */
function planList<Wanted extends Entry, Has extends { id: string; name: string | null }>(
  of: Kind,
  desired: readonly Wanted[],
  current: readonly Has[],
  prune: boolean,
  changeOf: (one: Wanted, known: Has | undefined) => { change: Change | undefined; hidden: number },
): Plan {
  const known = new Map(current.flatMap((one) => (one.name === null ? [] : [[one.name, one]])))
  const names = new Set(desired.map(({ name }) => name))
  const plan: Plan = { changes: [], unchanged: 0, unlisted: [], unnamed: 0, hidden: 0 }
  for (const one of desired) {
    const { change, hidden } = changeOf(one, known.get(one.name))
    plan.hidden += hidden
    if (change) plan.changes.push(change)
    else plan.unchanged++
  }
  for (const { name, id } of current) {
    if (name === null) plan.unnamed++
    else if (!names.has(name) && prune) plan.changes.push({ of, kind: 'delete', name, id })
    else if (!names.has(name)) plan.unlisted.push(labelOf(of, name))
  }
  return plan
}

/** How it is called where webhooks and sources are listed together. */
function labelOf(of: Kind, name: string): string {
  return of === 'webhook' ? name : `${of} ${name}`
}

export function nameOf(change: Change): string {
  return labelOf(change.of, change.kind === 'delete' ? change.name : change.desired.name)
}

/** Formats a change for printing. */
export function describe(change: Change): string[] {
  const name = nameOf(change)
  if (change.kind === 'delete') return [`- ${name} (${change.id})`]
  const lines = change.differences.map(({ path, before, after }) => {
    return `    ${path}: ${before === undefined ? '' : `${before} -> `}${after}`
  })
  return [change.kind === 'create' ? `+ ${name}` : `~ ${name} (${change.id})`, ...lines].map(printable)
}

/** @param view it as the API would show it */
function creationOf(of: Kind, desired: Entry, view: JsonObject, makesSecret: boolean): Change {
  const differences = Object.keys(desired.source)
    .filter((field) => field !== 'name')
    .map((field) => ({ path: field, before: undefined, after: short(printed(view[field], desired.source[field])) }))
  return { of, kind: 'create', desired, makesSecret, differences }
}

function sourceUpdateOf(desired: DesiredSource, current: OwnSource): Change | undefined {
  const now = current as unknown as JsonObject
  const { fields, source } = desired
  const changed = COMPARED_IN_SOURCES.filter((field) => !isEqual(fields[field], now[field]))
  if (changed.length === 0) return undefined
  return {
    ...{ of: 'source', kind: 'update', desired, id: current.id, rotation: undefined },
    patch: Object.fromEntries(changed.map((field) => [field, fields[field]!])),
    differences: changed.flatMap((field) => differencesAt(field, now[field], fields[field], source[field])),
  }
}

function updateOf(
  desired: Desired,
  current: Current,
  forceSecrets: boolean,
): { change: Change | undefined; hidden: number } {
  const urls = urlsOf(desired, current)
  const view: JsonObject = { ...viewOf(desired), url: urls.after }
  const now: JsonObject = { ...(current as unknown as JsonObject), url: urls.before }
  const patch: JsonObject = {}
  const differences: Difference[] = []
  let hidden = 0
  // the relay keeps them for the origin that they were given for alone
  const sendsSecrets = forceSecrets || !areOfOneOrigin(desired.webhook.url, current.url)
  for (const field of COMPARED) {
    const masks = MASKED_FIELDS.includes(field) ? countMasks(view[field]) : field === 'url' ? urls.hidden : 0
    const isSame = isEqual(view[field], now[field])
    if (isSame && !(sendsSecrets && masks > 0)) {
      // the fingerprint of the certificate is compared, and it determines the private key
      if (field !== 'tls') hidden += masks
      continue
    }
    patch[field] = (desired.webhook as unknown as JsonObject)[field]!
    if (isSame) differences.push({ path: field, before: MASK, after: `${MASK} (sent again)` })
    else if (field === 'url') differences.push(urlDifference(urls, desired.source.url))
    else differences.push(...differencesAt(field, now[field], view[field], desired.source[field]))
  }
  const rotation = rotationOf(desired, current)
  const { source } = desired
  if (rotation?.signing) differences.push(...differencesAt('signing', now.signing, view.signing, source.signing))
  if (rotation?.secret) differences.push(...differencesAt('secret', MASK, MASK, source.secret))
  if (differences.length === 0) return { change: undefined, hidden }
  const { id } = current
  const change: Change = {
    ...{ of: 'webhook', kind: 'update', desired, id, rotation, differences },
    patch: Object.keys(patch).length > 0 ? patch : undefined,
  }
  return { change, hidden }
}

interface Urls {
  before: string
  after: string
  /** 1 where only their masked forms are compared. */
  hidden: number
}

/** The URLs to compare: whole, if that of the relay is known and that of the file is not a masked one. */
function urlsOf({ webhook: { url } }: Desired, { url: shown, wholeUrl = shown }: Current): Urls {
  if (isMaskedUrl(url)) return { before: maskUrl(wholeUrl), after: url, hidden: 0 }
  if (!isMaskedUrl(wholeUrl)) return { before: wholeUrl, after: url, hidden: 0 }
  return { before: wholeUrl, after: maskUrl(url), hidden: 1 }
}

function urlDifference({ before, after }: Urls, source: Json | undefined): Difference {
  const [difference] = differencesAt('url', maskUrl(before), maskUrl(after), source)
  const isShown = maskUrl(before) !== maskUrl(after)
  return isShown ? difference! : { ...difference!, after: `${difference!.after} (another path)` }
}

/** Masked URLs of the file that the relay cannot make whole: it does not have the webhook, or has it with another URL. */
export function maskedUrlProblems(desired: readonly Desired[], current: readonly Current[]): Problem[] {
  const known = new Map(current.map(({ name, url }) => [name, maskUrl(url)]))
  return desired
    .filter(({ name, webhook: { url } }) => isMaskedUrl(url) && known.get(name) !== url)
    .map(({ name, lineOf }) => ({
      line: lineOf('/url'),
      text: `${name}: url is masked, and is not that of a webhook ${name} of the relay: write the whole URL`,
    }))
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

function countMasks(value: Json | undefined): number {
  if (value === MASK) return 1
  if (typeof value !== 'object' || value === null) return 0
  return Object.values(value).reduce<number>((sum, item) => sum + countMasks(item), 0)
}
