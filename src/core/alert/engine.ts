/**
 * The engine: makes alert changes from rule matches, for deployments without Matano. Pure: it takes a window, the
 * matches and the time, and returns the next window and the change.
 *
 * A window is the lifetime of an alert. It begins with the first match of a rule and dedupe text, and ends a fixed time
 * later, whatever matches follow. Its states:
 *
 *   counting  The window has fewer matches than the threshold. There is no alert yet; the contexts of its matches are
 *             stored as waiting. A match enters this state when there is no window, or the last one has ended. As
 *             upstream, threshold and duration are those of the newest match, so that a rule that was edited counts at once.
 *   active    A batch reached the threshold. That batch publishes the creation of the alert, with every match of the
 *             window counted and summarized; its time is the creation time, and the window ends when it would have ended
 *             then. Each later batch publishes one update.
 *   ended     The time of the window is over. The next match begins a new window, with a new alert id. A window that
 *             ends in the state counting publishes nothing.
 *
 * Title, runbook and destinations are those of the first match. Tables are added; the severity can only rise, and a
 * change that raises it has the severity before.
 *
 * Guarantee: every match is counted in exactly one window, and is summarized in exactly one change or waiting.
 */
import type { JsonObject } from '../platform/json.js'
import { higherSeverity, titleOf, type RuleMatch, type Severity } from './rule-match.js'
import { summarize } from './summary.js'

/** The fields of a window's alert that all its changes have. */
export interface WindowAlert {
  title: string
  severity: Severity
  runbook: string
  destinations: string[]
  tables: string[]
  /** When the threshold was reached (RFC 3339); absent before, and in alerts that earlier versions made. */
  creation_time?: string
}

export interface RuleWindow {
  alertId: string
  startedAt: Date
  endsAt: Date
  threshold: number
  matchCount: number
  /** Undefined in the state counting. */
  updateCount: number | undefined
  alert: WindowAlert
}

/** The effect of a batch on a window. */
export interface EngineStep {
  window: RuleWindow
  /** True when contexts that waited wait no longer: they are in the change, or their window has ended. */
  settles: boolean
  /** The contexts of this batch, if the threshold is not reached. */
  waiting: JsonObject[]
  /** The alert change to publish, in upstream's format; undefined in the state counting. */
  change: JsonObject | undefined
  /** The severity before this batch, if the batch raised the severity of a published alert. */
  previousSeverity: Severity | undefined
}

export type Batch = readonly [RuleMatch, ...RuleMatch[]]

/** True when this batch makes the window active; its waiting contexts are then needed for the summary. */
export function reachesThreshold(batch: Batch, window: RuleWindow | undefined, now: Date): boolean {
  if (window === undefined || window.updateCount !== undefined) return false
  const current = withRuleOf(batch, window)
  return !hasEnded(current, now) && window.matchCount + batch.length >= current.threshold
}

/**
 * Applies one batch of matches of one rule and dedupe text.
 * @param current.window the current window, if there is one
 * @param current.waiting the contexts that wait in it; used only if the batch reaches the threshold
 * @param newAlertId the id of the alert, used if a new window begins
 */
export function takeBatch(
  batch: Batch,
  current: { window: RuleWindow | undefined; waiting: readonly JsonObject[] },
  now: Date,
  newAlertId: string,
): EngineStep {
  const known = current.window && withRuleOf(batch, current.window)
  const wasCounting = known !== undefined && known.updateCount === undefined
  const began = known === undefined || hasEnded(known, now)
  const before = began ? withRuleOf(batch, newWindow(batch[0], now, newAlertId)) : known
  const contexts = batch.map(contextOf)
  const window: RuleWindow = {
    ...before,
    matchCount: before.matchCount + batch.length,
    alert: batch.reduce(withMatch, before.alert),
  }
  if (window.updateCount === undefined && window.matchCount < window.threshold) {
    return { window, settles: wasCounting && began, waiting: contexts, change: undefined, previousSeverity: undefined }
  }
  window.updateCount = before.updateCount === undefined ? 0 : before.updateCount + 1
  if (window.updateCount === 0) window.alert = { ...window.alert, creation_time: now.toISOString() }
  const isRaised = before.updateCount !== undefined && window.alert.severity !== before.alert.severity
  return {
    window,
    settles: wasCounting,
    waiting: [],
    change: changeOf(window, summarize(began ? contexts : [...current.waiting, ...contexts])),
    previousSeverity: isRaised ? before.alert.severity : undefined,
  }
}

/** A window that is not active, with the threshold and the duration of the newest match. */
function withRuleOf(batch: Batch, window: RuleWindow): RuleWindow {
  if (window.updateCount !== undefined) return window
  const { threshold, deduplication_window_minutes: minutes } = batch.at(-1)!
  return { ...window, threshold, endsAt: new Date(window.startedAt.getTime() + minutes * 60_000) }
}

function hasEnded({ endsAt }: RuleWindow, now: Date): boolean {
  return now >= endsAt
}

function newWindow(first: RuleMatch, now: Date, alertId: string): RuleWindow {
  const { severity, runbook, destinations, threshold } = first
  return {
    alertId,
    startedAt: now,
    endsAt: now,
    threshold,
    matchCount: 0,
    updateCount: undefined,
    alert: { title: titleOf(first), severity, runbook, destinations, tables: [] },
  }
}

/** The alert after one more match: the higher severity, and the table of the match added. */
function withMatch(alert: WindowAlert, { severity, table }: RuleMatch): WindowAlert {
  const tables = table === undefined || alert.tables.includes(table) ? alert.tables : [...alert.tables, table]
  return { ...alert, severity: higherSeverity(alert.severity, severity), tables }
}

/** The record of a match, with its table in the field that upstream uses. */
function contextOf({ context, table }: RuleMatch): JsonObject {
  return table === undefined ? context : { ...context, 'matano.table': table }
}

function changeOf(window: RuleWindow, summary: JsonObject): JsonObject {
  const { title, severity, runbook, destinations, tables, creation_time: created } = window.alert
  return {
    updated_alert: {
      id: window.alertId,
      creation_time: created ?? window.startedAt.toISOString(),
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
