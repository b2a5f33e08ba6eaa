/**
 * Accepting rule matches: the engine makes alert changes from them, for deployments without Matano.
 *
 * Guarantee: the matches of a request are counted and their alert changes are stored in one transaction, as events like
 * those of SNS; requests may share it, and one that fails fails no other. No deadlock: Idempotency-Keys, then windows, then
 * alerts are locked, each in the order of their keys.
 */
import { randomUUID } from 'node:crypto'
import type { FastifyBaseLogger } from 'fastify'
import { parseAlertChange } from '../alert/change.js'
import { reachesThreshold, takeBatch, type EngineStep } from '../alert/engine.js'
import type { RuleMatch } from '../alert/rule-match.js'
import { listWaiting, lockWindows, saveSteps, windowKey } from '../alert/window-store.js'
import { createBatcher } from '../platform/batcher.js'
import type { Queryable } from '../platform/database.js'
import { Refusal } from '../platform/errors.js'
import { onceEach, storedKey, type KeyedRequest } from '../platform/idempotency.js'
import { approximateSize, stringifyJson, type Json, type JsonObject } from '../platform/json.js'
import { leaveToUpkeep } from '../platform/queues.js'
import { activeTraceparent, inSpan } from '../platform/tracing.js'
import { newMessage, type AcceptOptions } from './accept.js'
import type { Claim } from './claims.js'
import type { EventType, StoredEvent } from './event.js'
import { handOver } from './hand-over.js'
import { storeMessages, type NewMessage, type StoredBatch } from './message-store.js'

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

export type MatchOptions = Omit<AcceptOptions, 'sources'>

/** The matches of one request for one window. */
type Group = [RuleMatch, ...RuleMatch[]]

interface MatchRequest {
  /** By window, in the order of first appearance. */
  groups: ReadonlyMap<string, Group>
  idempotency: KeyedRequest | undefined
  traceparent: string | null
  weight: number
}

/**
 * Requests that arrive during a commit share the next one, as messages do (accept.ts); a large one is alone, and the
 * others pass it. Two requests of one window, or with one key, wait for each other.
 */
const BATCHES = { maxWeight: 256 * 1024, concurrency: 2 }
/** The cost of a match beside its bytes, in bytes. */
const MATCH_WEIGHT = 2048

export function createAcceptMatches(options: MatchOptions): AcceptMatches {
  const { countEvent } = options
  const store = createBatcher(
    async (requests: MatchRequest[]) => {
      let answers: (MatchedAlert[] | Refusal)[] = []
      const { messages, queued } = await handOver(options, sizeOf(requests), async (claim) => {
        const stored = await storeRequests(options, requests, claim)
        answers = stored.answers
        return stored.batch
      })
      for (const { event } of messages) countEvent?.({ type: event.type, source: 'rule_matches' })
      return answers.map((answer) => ({ answer, queued }))
    },
    {
      ...BATCHES,
      weightOf: ({ weight }) => weight,
      keyOf: ({ groups, idempotency }) => [...groups.keys(), ...(idempotency ? [storedKey(idempotency)] : [])],
    },
  )
  return async (matches, { idempotency, log }) => {
    const { alerts, queued } = await inSpan({ name: 'store rule matches' }, async () => {
      const { answer, queued } = await store({
        groups: groupByWindow(matches),
        idempotency: idempotency && { ...idempotency, body: matches as unknown as Json },
        traceparent: activeTraceparent(),
        weight: matches.length * MATCH_WEIGHT + approximateSize(matches as unknown as Json),
      })
      if (answer instanceof Refusal) throw answer
      return { alerts: answer, queued }
    })
    await leaveToUpkeep(queued, log)
    return alerts
  }
}

/** At most one change a window. */
function sizeOf(requests: readonly MatchRequest[]) {
  return {
    events: requests.reduce((sum, { groups }) => sum + groups.size, 0),
    bytes: requests.reduce((sum, { weight }) => sum + weight, 0),
  }
}

/** The matches by window, in the order of first appearance. */
function groupByWindow(matches: readonly RuleMatch[]): Map<string, Group> {
  const groups = new Map<string, Group>()
  for (const match of matches) {
    const key = windowKey(match)
    const group = groups.get(key)
    if (group) group.push(match)
    else groups.set(key, [match])
  }
  return groups
}

/** @returns the answer to each request, and the batch of the changes that were stored */
async function storeRequests(
  { database, audience: source, now = () => new Date() }: MatchOptions,
  requests: readonly MatchRequest[],
  claim: Claim | undefined,
): Promise<{ answers: (MatchedAlert[] | Refusal)[]; batch: StoredBatch }> {
  const at = now()
  const audience = source?.audience()
  let batch: StoredBatch = { messages: [], registry: undefined }
  const answers = await database.transaction((tx) =>
    onceEach(tx, requests, at, async (fresh) => {
      const steps = await takeSteps(tx, new Map(fresh.flatMap(({ groups }) => [...groups])), at)
      await saveSteps(tx, steps)
      const changes = changesOf(fresh, steps, at)
      if (changes.size > 0) batch = await storeMessages(tx, [...changes.values()], { audience, claim })
      const events = new Map([...changes.keys()].map((key, i) => [key, batch.messages[i]!.event]))
      return fresh.map(({ groups }) =>
        [...groups].map(([key, group]) => matchedAlert(group, steps.get(key)!, events.get(key))),
      )
    }),
  )
  // refreshed for the next batch; while it cannot be read, every event is dispatched
  if (batch.registry && batch.registry.version !== audience?.version) source?.current().catch(() => {})
  return { answers, batch }
}

/** Locks windows and takes the next step of each. */
async function takeSteps(
  tx: Queryable,
  groups: ReadonlyMap<string, Group>,
  now: Date,
): Promise<Map<string, EngineStep>> {
  const windows = await lockWindows(tx, [...groups.keys()])
  const reaching = [...groups].filter(([key, group]) => reachesThreshold(group, windows.get(key), now))
  const waiting = await listWaiting(
    tx,
    reaching.map(([key]) => key),
  )
  return new Map(
    [...groups].map(([key, group]) => {
      const current = { window: windows.get(key), waiting: waiting.get(key) ?? [] }
      return [key, takeBatch(group, current, now, randomUUID())]
    }),
  )
}

/** The changes of the windows that have one, by the window's key. */
function changesOf(
  requests: readonly MatchRequest[],
  steps: ReadonlyMap<string, EngineStep>,
  now: Date,
): Map<string, NewMessage> {
  const changes = new Map<string, NewMessage>()
  for (const { groups, traceparent } of requests) {
    for (const key of groups.keys()) {
      const { change, previousSeverity } = steps.get(key)!
      if (change) changes.set(key, messageOf(change, { previousSeverity, traceparent, now }))
    }
  }
  return changes
}

function messageOf(
  change: JsonObject,
  {
    previousSeverity,
    traceparent,
    now,
  }: Pick<MatchRequest, 'traceparent'> & Pick<EngineStep, 'previousSeverity'> & { now: Date },
): NewMessage {
  const message = stringifyJson(change)
  const incoming = { messageId: null, topicArn: null, subject: undefined, message, sentAt: now, previousSeverity }
  // The change is not read back from its text: whatever the keys of a record are, it is this alert's.
  const made = newMessage(incoming, now, { payload: message, change: parseAlertChange(change), unread: undefined })
  return { ...made, event: { ...made.event, traceparent } }
}

function matchedAlert(group: Group, { window }: EngineStep, event: StoredEvent | undefined): MatchedAlert {
  return {
    rule: group[0].rule,
    matches: group.length,
    match_count: window.matchCount,
    alert_id: event ? window.alertId : null,
    event_id: event?.id ?? null,
    type: event?.type ?? null,
  }
}
