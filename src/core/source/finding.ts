/** Makes a finding from what a source read, with the bounds that hold for all. Pure. */
import type { Severity } from '../alert/rule-match.js'
import type { Json } from '../platform/json.js'
import type { ContextBuilder } from './context-builder.js'
import { firstText, textAt } from './fields.js'
import type { Finding, FindingState, Unread } from './source.js'

export const MAX_TITLE = 1000
export const MAX_TEXT = 4096

/** What a source reads; what is not given is not known. */
export interface Draft {
  source: string
  /** Undefined when the message does not say which finding it is. */
  alertId: string | undefined
  /** The first that is a text is the title. */
  titles: (Json | undefined)[]
  description?: Json | undefined
  severity: Severity
  state: FindingState | undefined
  reason?: string | undefined
  context: ContextBuilder
  url?: string | undefined
  account?: string | undefined
  region?: string | undefined
  matchCount?: bigint | undefined
  firstSeen?: Date | undefined
  updatedAt?: Date | undefined
  sample?: boolean
}

/** @param identity the fields that an id needs, for the message that says why there is none */
export function findingOf(draft: Draft, identity: string): Finding | Unread {
  if (draft.alertId === undefined) return { unread: `a finding of ${draft.source} has no ${identity}` }
  const title = cut(firstText(...draft.titles) ?? draft.alertId, MAX_TITLE)
  const description = textAt(draft.description)
  return {
    source: draft.source,
    alertId: draft.alertId,
    title,
    description: description === undefined ? undefined : cut(description, MAX_TEXT),
    severity: draft.severity,
    state: draft.state,
    reason: draft.reason,
    context: draft.context.values,
    cut: draft.context.cut,
    url: draft.url,
    account: draft.account,
    region: draft.region,
    matchCount: draft.matchCount,
    firstSeen: draft.firstSeen,
    updatedAt: draft.updatedAt,
    // how GuardDuty titles its own, also where they come by another road
    sample: draft.sample === true || title.startsWith('[SAMPLE]'),
  }
}

/** The beginning of a text, without half of a character. */
export function cut(text: string, length: number): string {
  return text.length <= length ? text : text.slice(0, length).replace(/[\uD800-\uDBFF]$/, '')
}

/** Adds what every AWS finding has. */
export function addCloud(context: ContextBuilder, account: Json | undefined, region: Json | undefined): void {
  context.add('cloud.provider', 'aws').add('cloud.account.id', account).add('cloud.region', region)
}
