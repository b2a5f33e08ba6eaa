/**
 * The engine: rule matches in, alert changes out, for those who have no Matano. Pure: windows and matches go in with the
 * time, the next windows and the changes come out.
 *
 * A window is the life of an alert: it begins with the first match of a rule and dedupe text and ends a fixed time later,
 * whatever comes in between. Its states:
 *
 *   counting  Fewer matches than the threshold. There is no alert yet; the matches wait, every one of them.
 *             A match enters it when there is no window, or the last one has ended.
 *   active    The threshold was reached, by the match that reached it and its whole batch: that batch publishes the
 *             alert's creation with every match of the window counted and summarized. Each later batch is one update.
 *   ended     Its time is over. The next match begins a new window, with a new alert id. A window that ends while it is
 *             counting leaves nothing behind.
 *
 * Title, runbook and destinations are frozen when the window begins. Tables grow; the severity rises, never falls, and a
 * change in which it rose says what it was before.
 *
 * Promise: every match is counted in exactly one window and summarized in exactly one change, or waits.
 */
import type { JsonObject } from '../platform/json.js'
import { higherSeverity, titleOf, type RuleMatch, type Severity } from './rule-match.js'
import { summarize } from './summary.js'

/** What all changes of a window's alert say. */
export interface WindowAlert {
  title: string
  severity: Severity
  runbook: string
  destinations: string[]
  tables: string[]
}

export interface RuleWindow {
  alertId: string
  startedAt: Date
  endsAt: Date
  threshold: number
  matchCount: number
  /** Undefined while it is counting. */
  updateCount: number | undefined
  alert: WindowAlert
}

/** What a batch made of a window. */
export interface EngineStep {
  window: RuleWindow
  /** True when the window is a new one: what waited for the window before it is void. */
  began: boolean
  /** The contexts of this batch, if they have to wait for the threshold. */
  waiting: JsonObject[]
  /** The alert change to publish, in upstream's shape; undefined while the window is counting. */
  change: JsonObject | undefined
  /** The severity before this batch, if it raised that of a published alert. */
  previousSeverity: Severity | undefined
}

export type Batch = readonly [RuleMatch, ...RuleMatch[]]

/** True when this batch makes the window active: then its waiting contexts are summarized with the batch's. */
export function reachesThreshold(batch: Batch, window: RuleWindow | undefined, now: Date): boolean {
  if (window === undefined || hasEnded(window, now) || window.updateCount !== undefined) return false
  return window.matchCount + batch.length >= window.threshold
}

/**
 * Takes one batch of matches of one rule and dedupe text.
 * @param current.window the window there is, if any
 * @param current.waiting the contexts that wait in it; read only if the batch reaches the threshold
 * @param newAlertId the id of the alert, should a window begin
 */
export function takeBatch(
  batch: Batch,
  current: { window: RuleWindow | undefined; waiting: readonly JsonObject[] },
  now: Date,
  newAlertId: string,
): EngineStep {
  const began = current.window === undefined || hasEnded(current.window, now)
  const before = began ? newWindow(batch[0], now, newAlertId) : current.window!
  const contexts = batch.map(contextOf)
  const window: RuleWindow = {
    ...before,
    matchCount: before.matchCount + batch.length,
    alert: batch.reduce(raise, before.alert),
  }
  if (window.matchCount < window.threshold) {
    return { window, began, waiting: contexts, change: undefined, previousSeverity: undefined }
  }
  window.updateCount = before.updateCount === undefined ? 0 : before.updateCount + 1
  const rose = before.updateCount !== undefined && window.alert.severity !== before.alert.severity
  return {
    window,
    began,
    waiting: [],
    change: changeOf(window, summarize(began ? contexts : [...current.waiting, ...contexts])),
    previousSeverity: rose ? before.alert.severity : undefined,
  }
}

function hasEnded({ endsAt }: RuleWindow, now: Date): boolean {
  return now >= endsAt
}

function newWindow(first: RuleMatch, now: Date, alertId: string): RuleWindow {
  const { severity, runbook, destinations, threshold, deduplication_window_minutes: minutes } = first
  return {
    alertId,
    startedAt: now,
    endsAt: new Date(now.getTime() + minutes * 60_000),
    threshold,
    matchCount: 0,
    updateCount: undefined,
    alert: { title: titleOf(first), severity, runbook, destinations, tables: [] },
  }
}

/** The alert after one more match: the higher severity, and one more table if it is new. */
function raise(alert: WindowAlert, { severity, table }: RuleMatch): WindowAlert {
  const tables = table === undefined || alert.tables.includes(table) ? alert.tables : [...alert.tables, table]
  return { ...alert, severity: higherSeverity(alert.severity, severity), tables }
}

/** The record of a match, with its table where upstream has it. */
function contextOf({ context, table }: RuleMatch): JsonObject {
  return table === undefined ? context : { ...context, 'matano.table': table }
}

function changeOf(window: RuleWindow, summary: JsonObject): JsonObject {
  const { title, severity, runbook, destinations, tables } = window.alert
  return {
    updated_alert: {
      id: window.alertId,
      creation_time: window.startedAt.toISOString(),
      title,
      severity,
      severity_icon_url: '',
      runbook,
      false_positives: [],
      destinations,
      context: summary,
      tables,
      match_count: window.matchCount,
      update_count: window.updateCount ?? 0,
    },
    incoming_rule_matches_context: summary,
    context_diff: {},
    destination_to_alert_info: {},
  }
}
