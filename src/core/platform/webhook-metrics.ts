/**
 * Metrics of each webhook, by id and name.
 *
 * Guarantee: there are series for `MAX_WEBHOOKS` webhooks at most, the oldest, and one `other` for the rest. Those of a
 * deleted webhook are gone at the next scrape. What was counted for `other` stays there, so that it never goes down.
 */
import { Counter, Gauge, type Registry } from 'prom-client'

/** Webhooks with series of their own. */
export const MAX_WEBHOOKS = 500
/** The id and the name of all others. */
const OTHER = 'other'
const LABELS = ['webhook_id', 'webhook'] as const

export interface MeasuredWebhook {
  id: string
  name: string | null
}

/** What is read of webhooks at a scrape. */
export interface WebhookStates {
  /** The oldest `MAX_WEBHOOKS`: `state` is its health, or how it was disabled; `waiting`: its pending deliveries. */
  listed: (MeasuredWebhook & { state: string; waiting: number })[]
  /** The others, if there are any: how many by state, and their pending deliveries. */
  others: { states: Record<string, number>; waiting: number } | undefined
}

/** What this process counted for a webhook. */
interface Counts {
  name: string | null
  /** False until a scrape has found it among the oldest. */
  isListed: boolean
  dead: number
  /** Attempts by outcome. */
  attempts: Map<string, number>
}

export function createWebhookMetrics(registers: Registry[]) {
  const attempts = new Counter({
    name: 'alert_relay_webhook_attempts_total',
    help: 'Delivery attempts, by webhook and outcome.',
    labelNames: [...LABELS, 'outcome'],
    registers,
  })
  const dead = new Counter({
    name: 'alert_relay_deliveries_dead_total',
    help: 'Deliveries that died: the schedule ran out, or no attempt can succeed.',
    labelNames: LABELS,
    registers,
  })
  const backlog = new Gauge({
    name: 'alert_relay_webhook_backlog',
    help: 'Pending deliveries of a webhook, counted up to 100000 over all webhooks.',
    labelNames: LABELS,
    registers,
  })
  const state = new Gauge({
    name: 'alert_relay_webhook_state',
    help:
      'Webhooks in this state: healthy (the circuit is closed), failing (open), recovering (half-open), disabled (by the ' +
      'relay), disabled_by_operator.',
    labelNames: [...LABELS, 'state'],
    registers,
  })
  const counted = new Map<string, Counts>()
  const others: Counts = emptyCounts(OTHER)

  function countsOf({ id, name }: MeasuredWebhook): Counts {
    const known = counted.get(id)
    if (known) return known
    if (counted.size >= MAX_WEBHOOKS) return others
    const counts = emptyCounts(name)
    counted.set(id, counts)
    return counts
  }

  /** Gives the counts to the webhooks that have series of their own, the others' to `other`. */
  function assign({ listed }: WebhookStates): void {
    const names = new Map(listed.map(({ id, name }) => [id, name]))
    for (const [id, counts] of counted) {
      if (names.has(id)) continue
      counted.delete(id)
      // one that was listed is deleted; any other is one too many, or was made after the list was read
      if (!counts.isListed) add(others, counts)
    }
    for (const [id, name] of names) Object.assign(countsOf({ id, name }), { name, isListed: true })
  }

  /** Writes the gauges of what was read. */
  function setStates({ listed, others: rest }: WebhookStates): void {
    backlog.reset()
    state.reset()
    for (const one of listed) {
      backlog.set(labelsOf(one), one.waiting)
      state.set({ ...labelsOf(one), state: one.state }, 1)
    }
    if (!rest) return
    const labels = labelsOf({ id: OTHER, name: OTHER })
    backlog.set(labels, rest.waiting)
    for (const [name, count] of Object.entries(rest.states)) state.set({ ...labels, state: name }, count)
  }

  return {
    countAttempt(webhook: MeasuredWebhook, outcome: string): void {
      const counts = countsOf(webhook).attempts
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
    },
    countDead(webhook: MeasuredWebhook): void {
      countsOf(webhook).dead++
    },
    /** Prepares the series for a scrape. @param states undefined when they cannot be read: gauges keep their values */
    write(states: WebhookStates | undefined): void {
      if (states) {
        assign(states)
        setStates(states)
      }
      attempts.reset()
      dead.reset()
      const all = [...counted].map(([id, counts]) => ({ id, counts }))
      if (others.attempts.size > 0 || others.dead > 0) all.push({ id: OTHER, counts: others })
      for (const { id, counts } of all) {
        const labels = labelsOf({ id, name: counts.name })
        // exported as 0 from the start, so that increase() sees the first one
        dead.inc(labels, counts.dead)
        for (const [outcome, count] of counts.attempts) attempts.inc({ ...labels, outcome }, count)
      }
    },
  }
}

function emptyCounts(name: string | null): Counts {
  return { name, isListed: false, dead: 0, attempts: new Map() }
}

function add(to: Counts, from: Counts): void {
  to.dead += from.dead
  for (const [outcome, count] of from.attempts) to.attempts.set(outcome, (to.attempts.get(outcome) ?? 0) + count)
}

/** A webhook without a name is named by its id. */
function labelsOf({ id, name }: MeasuredWebhook) {
  return { webhook_id: id, webhook: name ?? id }
}
