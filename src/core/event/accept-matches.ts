/**
 * Accepting rule matches: the engine makes alert changes from them, for deployments without Matano.
 *
 * Guarantee: a batch is counted and its alert changes are stored in one transaction, as events like those of SNS. No
 * deadlock: windows are locked in the order of their keys.
 */
import { randomUUID } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import { parseAlertChange } from '../alert/change.js'
import { reachesThreshold, takeBatch, type EngineStep } from '../alert/engine.js'
import type { RuleMatch } from '../alert/rule-match.js'
import { listWaiting, lockWindow, saveStep, windowKey } from '../alert/window-store.js'
import type { Queryable } from '../platform/database.js'
import { once, type KeyedRequest } from '../platform/idempotency.js'
import { stringifyJson, type Json } from '../platform/json.js'
import { batchOf, leaveToUpkeep } from '../platform/queues.js'
import { inSpan } from '../platform/tracing.js'
import { newMessage, type AcceptOptions } from './accept.js'
import type { EventType } from './event.js'
import { storeMessages } from './message-store.js'

/** The result of a batch for one rule and dedupe text. */
export interface MatchedAlert {
  rule: string
  /** How many matches of the batch were counted in this window. */
  matches: number
  /** How many matches the window has so far. */
  match_count: number
  /** Null while the threshold is not reached. */
  alert_id: string | null
  event_id: string | null
  type: EventType | null
}

export type AcceptMatches = (
  matches: readonly RuleMatch[],
  request: { idempotency?: Omit<KeyedRequest, 'body'> | undefined; log: FastifyBaseLogger },
) => Promise<MatchedAlert[]>

type Group = [RuleMatch, ...RuleMatch[]]

export type MatchOptions = Omit<AcceptOptions, 'audience'>

export function createAcceptMatches(options: MatchOptions): AcceptMatches {
  const { database, queues, countEvent, now = () => new Date() } = options
  return async (matches, { idempotency, log }) => {
    const at = now()
    const request = idempotency && { ...idempotency, body: matches as unknown as Json }
    // stays empty when the answer is that of an earlier request with this key
    let made: MatchedAlert[] = []
    const alerts = await inSpan({ name: 'store rule matches' }, () =>
      database.transaction((tx) =>
        once(tx, request, at, async () => (made = await applyGroups(tx, groupByWindow(matches), at))),
      ),
    )
    for (const { type } of made) if (type !== null) countEvent?.({ type, source: 'rule_matches' })
    const ids = alerts.flatMap(({ event_id: id }) => (id === null ? [] : [id]))
    await leaveToUpkeep(queues.addDispatches(ids.map(batchOf)), log)
    return alerts
  }
}

/** The matches by window, in the order of first appearance. */
function groupByWindow(matches: readonly RuleMatch[]): Map<string, Group> {
  const groups = new Map<string, Group>()
  for (const match of matches) {
    const key = windowKey(match).toString('hex')
    const group = groups.get(key)
    if (group) group.push(match)
    else groups.set(key, [match])
  }
  return groups
}

async function applyGroups(tx: Queryable, groups: Map<string, Group>, now: Date): Promise<MatchedAlert[]> {
  const alerts = new Map<string, MatchedAlert>()
  for (const key of [...groups.keys()].sort()) {
    const group = groups.get(key)!
    alerts.set(key, await applyGroup(tx, Buffer.from(key, 'hex'), group, now))
  }
  return [...groups.keys()].map((key) => alerts.get(key)!)
}

async function applyGroup(tx: Queryable, key: Buffer, group: Group, now: Date): Promise<MatchedAlert> {
  const window = await lockWindow(tx, key)
  const waiting = reachesThreshold(group, window, now) ? await listWaiting(tx, key) : []
  const step = takeBatch(group, { window, waiting }, now, randomUUID())
  await saveStep(tx, key, step)
  const event = step.change && (await storeChange(tx, step, now))
  return {
    rule: group[0].rule,
    matches: group.length,
    match_count: step.window.matchCount,
    alert_id: event ? step.window.alertId : null,
    event_id: event?.id ?? null,
    type: event?.type ?? null,
  }
}

async function storeChange(tx: Queryable, { change, previousSeverity }: EngineStep, now: Date) {
  const message = stringifyJson(change!)
  const incoming = { messageId: null, topicArn: null, subject: undefined, message, sentAt: now, previousSeverity }
  // The change is not read back from its text: whatever the keys of a record are, it is this alert's.
  const content = { payload: message, change: parseAlertChange(change!), unread: undefined }
  const { messages } = await storeMessages(tx, [newMessage(incoming, now, content)])
  return messages[0]!.event
}
