/**
 * The alert change that a finding is: its document in Matano's shape, from which bodies are made. Pure.
 *
 * It is stored with the event, so that every attempt has the same body, whatever a later release or setting reads in the
 * message.
 */
import { LosslessNumber } from 'lossless-json'
import type { AlertChange } from '../alert/change.js'
import { buildContext, byIdentity } from '../alert/context.js'
import { SEVERITIES } from '../alert/rule-match.js'
import { stringifyJson, type Json, type JsonObject } from '../platform/json.js'
import type { Finding } from '../source/source.js'

/**
 * @param sentAt when the message was sent, which orders findings that have no time of their own
 * @param now times after it are not believed
 */
export function changeOfFinding(finding: Finding, sentAt: Date, now: Date): AlertChange {
  const { source, alertId, title, severity, state, reason, matchCount } = finding
  const updatedAt = new Date(Math.min((finding.updatedAt ?? sentAt).getTime(), now.getTime()))
  return {
    ...{ alertId, title, severity, matchCount },
    tables: [],
    updateCount: undefined,
    values: byIdentity(finding.context),
    finding: { source, state, reason, rank: SEVERITIES.indexOf(severity), updatedAt, document: documentOf(finding) },
  }
}

function documentOf(finding: Finding): string {
  const { alertId, title, description, severity, reason, url, account, region, matchCount, firstSeen, updatedAt } =
    finding
  const alert: Record<string, Json | undefined> = {
    id: alertId,
    creation_time: firstSeen?.toISOString(),
    update_time: updatedAt?.toISOString(),
    title,
    description,
    severity,
    state_reason: reason,
    url,
    account,
    region,
    match_count: matchCount === undefined ? undefined : new LosslessNumber(String(matchCount)),
    sample: finding.sample || undefined,
    context_cut: finding.cut || undefined,
  }
  const known = Object.entries(alert).filter((entry): entry is [string, Json] => entry[1] !== undefined)
  const updatedAlert: JsonObject = Object.fromEntries(known)
  return stringifyJson({
    updated_alert: updatedAlert,
    incoming_rule_matches_context: buildContext(finding.context),
  })
}
