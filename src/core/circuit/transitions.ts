/**
 * Keeps the health of webhooks by what attempts come to.
 *
 * Promise: a change of a webhook's state, its notice and what it means for its status are one transaction. A success at a
 * webhook that is well writes nothing: it is only remembered until this process sees a failure there.
 */
import { changesOf, RELAY_ACTOR } from '../access/audit.js'
import { insertAuditEntry } from '../access/audit-store.js'
import type { NoticeType } from '../event/event.js'
import { storeNotice } from '../event/notice.js'
import type { Database, Queryable } from '../platform/database.js'
import {
  afterDrain,
  afterFailure,
  afterSuccess,
  type Failure,
  type Health,
  type HealthChange,
  type HealthState,
} from './health.js'
import { disableWebhook, findHealthReport, lockHealth, markHealthChanged, writeHealth } from './health-store.js'

/** What an attempt at a webhook came to. */
export interface WebhookOutcome {
  webhookId: string
  /** The webhook's state as whoever made the attempt knew it. */
  state: HealthState
  /** Null: it succeeded. */
  failure: Pick<Failure, 'reason' | 'gone'> | null
}

export interface CircuitTransitions {
  /**
   * Writes what outcomes mean, in their order.
   * @returns the ids of the notices that it made: events to be dispatched
   */
  record(outcomes: readonly WebhookOutcome[]): Promise<string[]>
  /** Says that a recovering webhook was sent what waited, or is past its ramp. */
  settle(webhookId: string, drain: { empty: boolean }): Promise<string[]>
}

export interface CircuitTransitionsOptions {
  database: Database
  /** Nothing but failures for this long disables a webhook. */
  disableAfterMs: number
  now?: () => Date
  random?: () => number
}

export function createCircuitTransitions({
  database,
  disableAfterMs,
  now = () => new Date(),
  random = Math.random,
}: CircuitTransitionsOptions): CircuitTransitions {
  /** Webhooks where this process saw a success since its last failure there. */
  const succeeded = new Set<string>()

  /** A success at a webhook that is not failing is remembered here alone, and ends the row of failures before it. */
  function tellingOf(outcomes: readonly WebhookOutcome[]): TellingOutcome[] {
    return outcomes.flatMap(({ webhookId, state, failure }): TellingOutcome[] => {
      if (failure !== null) {
        return [{ webhookId, failure: { ...failure, succeededSince: succeeded.delete(webhookId) } }]
      }
      succeeded.add(webhookId)
      return state === 'failing' ? [{ webhookId, failure }] : []
    })
  }

  function changeOf(before: Health, { failure }: TellingOutcome): HealthChange {
    return failure === null
      ? afterSuccess(before, now())
      : afterFailure(before, failure, { now: now(), random: random(), disableAfterMs })
  }

  return {
    async record(outcomes) {
      const telling = tellingOf(outcomes)
      if (telling.length === 0) return []
      // In one order, so that two batches with the same webhooks wait for each other and never for ever.
      const ordered = [...telling].sort((a, b) => (a.webhookId < b.webhookId ? -1 : Number(a.webhookId > b.webhookId)))
      try {
        return await database.transaction(async (tx) => {
          const told: Told[] = []
          for (const outcome of ordered) told.push(...(await apply(tx, outcome, changeOf, now())))
          return tell(tx, told, now())
        })
      } catch (error) {
        for (const { webhookId, failure } of telling) if (failure?.succeededSince) succeeded.add(webhookId)
        throw error
      }
    },
    settle: (webhookId, drain) =>
      database.transaction(async (tx) => {
        const settled = (health: Health) => afterDrain(health, { ...drain, now: now() })
        return tell(tx, await apply(tx, { webhookId }, settled, now()), now())
      }),
  }
}

/** An outcome that is written down. */
interface TellingOutcome {
  webhookId: string
  failure: Failure | null
}

/** A change that others are told of. */
interface Told {
  webhookId: string
  disabled: boolean
  notice: NoticeType | undefined
}

/** Writes what something means for a webhook's health. @returns a change of its state, if it was one */
async function apply<What extends { webhookId: string }>(
  tx: Queryable,
  what: What,
  changeOf: (before: Health, what: What) => HealthChange | undefined,
  now: Date,
): Promise<Told[]> {
  const { webhookId } = what
  const before = await lockHealth(tx, webhookId)
  const change = before && changeOf(before, what)
  if (!change) return []
  await writeHealth(tx, webhookId, change.health)
  // Disabled before, by somebody else: told before too.
  const disabled = change.disable !== undefined && (await disableWebhook(tx, webhookId, change.disable, now))
  if (disabled) await insertAuditEntry(tx, disabling(webhookId, change.disable!), now)
  if (change.health.state === before.state && !disabled) return []
  return [{ webhookId, disabled, notice: change.disable === undefined || disabled ? change.notice : undefined }]
}

function disabling(target: string, disabledReason: string) {
  const [before, after] = [
    { status: 'enabled', disabled_reason: null },
    { status: 'disabled', disabled_reason: disabledReason },
  ]
  return {
    actor: RELAY_ACTOR,
    action: 'webhook.disabled' as const,
    target,
    changes: changesOf<object>({ before, after }),
  }
}

/** Stores the notices. The registry is marked last: its row is every writer's, so it is held as briefly as can be. */
async function tell(tx: Queryable, told: readonly Told[], now: Date): Promise<string[]> {
  if (told.length === 0) return []
  const events: string[] = []
  for (const { webhookId, notice } of told) {
    const webhook = notice && (await findHealthReport(tx, webhookId))
    // what ends after a webhook was disabled is no news
    const isNews = webhook?.status === 'enabled' || notice === 'webhook.disabled'
    if (webhook && isNews) events.push(await storeNotice(tx, notice, { webhookId, subject: { ...webhook }, now }))
  }
  await markHealthChanged(tx, { disabled: told.some(({ disabled }) => disabled) })
  return events
}
