/** The events of batches with the webhooks that may want them, in steps of a bounded weight, and what is known of their alerts. */
import type { FastifyBaseLogger } from 'fastify'
import { recallContexts, type AlertMemory } from '../core/alert/alert-store.js'
import { changeOf, needsWhole } from '../core/delivery/content.js'
import type { ClaimedBatch } from '../core/event/claims.js'
import type { StoredEvent } from '../core/event/event.js'
import { findUndispatched, postponeEvents } from '../core/event/event-store.js'
import type { Database } from '../core/platform/database.js'
import { isUndecided } from '../core/platform/errors.js'
import type { Batch } from '../core/platform/queues.js'
import type { Registry, RegistrySnapshot } from '../core/webhook/registry.js'
import { wantsEvent } from '../core/webhook/selection.js'
import type { Target } from '../core/webhook/webhook.js'

/** An event that is to be dispatched. */
export interface EventDispatch {
  event: StoredEvent
  /** The enabled webhooks that select its type and topic and have no delivery of it. */
  wanted: Target[]
  /** True: one of them may receive the whole context of the event's alert. */
  whole: boolean
  /** Of its alert; undefined when no webhook wants the event, when it is no change, and once its content was made. */
  memory: AlertMemory | undefined
  /** Undefined: a job has it dispatched. */
  claim: DispatchClaim | undefined
}

/** What bounds the dispatch of an event that this process has claimed. */
export type DispatchClaim = Pick<ClaimedBatch, 'mayStart' | 'leave'>

/** A batch that a job names, or that this process has claimed: of that one the events are known. */
export type DispatchedBatch = Batch | ClaimedBatch

/** Loads the events of batches that are not dispatched yet, without their memory. */
export async function loadEvents(
  { database, registry }: { database: Database; registry: Registry },
  batches: readonly DispatchedBatch[],
): Promise<EventDispatch[]> {
  const ofJobs = batches.flatMap((batch) => ('events' in batch ? [] : [batch.batchId]))
  const claimed = batches.flatMap((batch) => ('events' in batch ? [batch] : []))
  const loading = claimed.map(async (claim) => {
    const snapshot = await registry.current(claim.registry)
    return claim.events.map((event) => newDispatch(snapshot, event, { claim }))
  })
  if (ofJobs.length > 0) loading.push(loadUndispatched(database, registry, ofJobs))
  return (await Promise.all(loading)).flat()
}

async function loadUndispatched(database: Database, registry: Registry, batchIds: string[]): Promise<EventDispatch[]> {
  const [snapshot, events] = await Promise.all([registry.current(), findUndispatched(database, batchIds)])
  return events.map(({ event, recorded }) => newDispatch(snapshot, event, { recorded }))
}

/** @param of.recorded the webhooks that have a delivery of the event already */
function newDispatch(
  { enabled }: RegistrySnapshot,
  event: StoredEvent,
  { recorded = [], claim }: { recorded?: readonly string[]; claim?: DispatchClaim },
): EventDispatch {
  const wanted = enabled.filter((target) => wantsEvent(target, event) && !recorded.includes(target.id))
  return { event, wanted, whole: wanted.some((target) => needsWhole(target, event)), memory: undefined, claim }
}

/**
 * Reads what the events' alerts held. Events that cannot be read together are read in halves; one that cannot be read alone,
 * though the database answers, is postponed and left out.
 * @throws what the database threw when it does not answer at all
 */
export async function loadMemories(
  options: { database: Database; log: FastifyBaseLogger },
  dispatches: readonly EventDispatch[],
  { isRepeated = false } = {},
): Promise<EventDispatch[]> {
  const { database } = options
  const changes = dispatches.flatMap((dispatch) => changeFor(dispatch) ?? [])
  if (changes.length === 0) return [...dispatches]
  try {
    const memories = await recallContexts(database, changes)
    return dispatches.map((dispatch) => ({ ...dispatch, memory: changeFor(dispatch) && memories.shift() }))
  } catch (error) {
    await database.ping()
    const [first] = dispatches
    if (dispatches.length === 1) {
      // The database answers now; it may not have when it was asked, which says nothing of the event.
      if (isUndecided(error) && !isRepeated) return loadMemories(options, dispatches, { isRepeated: true })
      await postpone(options, first!.event, error)
      return []
    }
    const half = Math.ceil(dispatches.length / 2)
    const firstHalf = await loadMemories(options, dispatches.slice(0, half))
    return [...firstHalf, ...(await loadMemories(options, dispatches.slice(half)))]
  }
}

function changeFor({ event, wanted, whole }: EventDispatch) {
  return wanted.length > 0 ? changeOf(event, whole) : undefined
}

/** Has an event wait that cannot be dispatched for a reason of its own, longer each time. */
async function postpone(
  { database, log }: { database: Database; log: FastifyBaseLogger },
  event: StoredEvent,
  error: unknown,
): Promise<void> {
  const waits = await postponeEvents(database, [event])
  log.warn({ err: error, event_id: event.id, retry_in_s: waits.get(event.id) }, 'not dispatched; tried again later')
}

/**
 * Leaves an event whose dispatch failed to upkeep, which queues it again: within seconds when the database was away, and later
 * each time when the event itself is the reason. One that was claimed gets its job when the claim is released.
 */
export async function leaveUndispatched(
  options: { database: Database; log: FastifyBaseLogger },
  { event, claim }: Pick<EventDispatch, 'event' | 'claim'>,
  error: unknown,
): Promise<void> {
  if (isUndecided(error)) {
    claim?.leave()
    options.log.warn({ err: error, event_id: event.id }, 'not dispatched now; upkeep queues it again')
  } else await postpone(options, event, error)
}

/** Bounds of a step: deliveries that may be made, and bytes of events and of what their alerts held. */
const MAX_STEP_WEIGHT = 256
const MAX_STEP_BYTES = 8 * 1024 * 1024

/** Splits events, in their order, into steps within the bounds; an event beyond them is a step of its own. */
export function splitIntoSteps(dispatches: readonly EventDispatch[]): EventDispatch[][] {
  const steps: EventDispatch[][] = []
  let [weight, bytes] = [Infinity, 0]
  for (const dispatch of dispatches) {
    weight += weightOf([dispatch])
    bytes += bytesOf(dispatch)
    if (weight > MAX_STEP_WEIGHT || bytes > MAX_STEP_BYTES) {
      steps.push([])
      weight = weightOf([dispatch])
      bytes = bytesOf(dispatch)
    }
    steps.at(-1)!.push(dispatch)
  }
  return steps
}

/** One for each delivery that may be made, and one for an event that no webhook wants. */
export function weightOf(dispatches: readonly EventDispatch[]): number {
  return dispatches.reduce((sum, { wanted }) => sum + Math.max(1, wanted.length), 0)
}

function bytesOf({ event, whole }: EventDispatch): number {
  return event.payload.length + (whole ? event.heldBytes : 0)
}
