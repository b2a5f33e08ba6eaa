/** Loads the events of batches with the webhooks that may want them, and splits them into steps of a bounded weight. */
import { recallContexts, type AlertMemory } from '../core/alert/alert-store.js'
import { changeOf } from '../core/delivery/deliver.js'
import type { StoredEvent } from '../core/event/event.js'
import { findUndispatched } from '../core/event/event-store.js'
import type { Database } from '../core/platform/database.js'
import type { Registry } from '../core/webhook/registry.js'
import { wantsEvent } from '../core/webhook/selection.js'
import type { Target } from '../core/webhook/webhook.js'

/** An event that is to be dispatched. */
export interface EventDispatch {
  event: StoredEvent
  /** The enabled webhooks that select its type and topic and have no delivery of it. */
  wanted: Target[]
  /** Of its alert; undefined when no webhook wants the event, when it is no change, and once its content was made. */
  memory: AlertMemory | undefined
}

/** Loads the events of batches that are not dispatched yet. */
export async function loadEvents(
  { database, registry }: { database: Database; registry: Registry },
  batchIds: string[],
): Promise<EventDispatch[]> {
  const [{ enabled }, events] = await Promise.all([registry.current(), findUndispatched(database, batchIds)])
  const dispatches = events.map(({ event, recorded }) => ({
    event,
    wanted: enabled.filter((target) => wantsEvent(target, event) && !recorded.includes(target.id)),
  }))
  const changes = dispatches.flatMap(({ event, wanted }) => (wanted.length > 0 ? (changeOf(event) ?? []) : []))
  const memories = changes.length === 0 ? [] : await recallContexts(database, changes)
  return dispatches.map((dispatch) => ({
    ...dispatch,
    memory: dispatch.wanted.length > 0 && changeOf(dispatch.event) ? memories.shift() : undefined,
  }))
}

/** Splits events, in their order, into steps of at most `maxWeight`; a heavier event is a step of its own. */
export function splitIntoSteps(dispatches: readonly EventDispatch[], maxWeight: number): EventDispatch[][] {
  const steps: EventDispatch[][] = []
  let weight = Infinity
  for (const dispatch of dispatches) {
    weight += weightOf([dispatch])
    if (weight > maxWeight) {
      steps.push([])
      weight = weightOf([dispatch])
    }
    steps.at(-1)!.push(dispatch)
  }
  return steps
}

/** One for each delivery that may be made, and one for an event that no webhook wants. */
export function weightOf(dispatches: readonly EventDispatch[]): number {
  return dispatches.reduce((sum, { wanted }) => sum + Math.max(1, wanted.length), 0)
}
