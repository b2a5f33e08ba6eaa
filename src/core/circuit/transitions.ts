/**
 * The transitions of the circuit breaker: outcomes of attempts in, health and notices written.
 *
 * Guarantee: a change of a webhook's state, its notice and its new status are one transaction. A success of a healthy
 * webhook writes nothing: it is kept in memory until this process sees a failure of that webhook.
 */
import type { FastifyBaseLogger } from 'fastify'
import { changesOf, RELAY_ACTOR } from '../access/audit.js'
import { insertAuditEntry } from '../access/audit-store.js'
import type { CountEvent } from '../event/event.js'
import { storeNotice } from '../event/notice.js'
import type { Database, Queryable } from '../platform/database.js'
import {
  afterDrain,
  afterFailure,
  afterSuccess,
  endsWithSuccess,
  type Failure,
  type Health,
  type HealthChange,
  type Notice,
} from './health.js'
import type { HealthReport } from './health-report.js'
import {
  disableWebhook,
  findHealthReport,
  hasSucceeded,
  lockHealth,
  markHealthChanged,
  writeHealth,
} from './health-store.js'

/** The outcome of an attempt. */
export interface WebhookOutcome {
  webhookId: string
  /** The webhook's health as known when the attempt was made. */
  health: Health
  /** Null for a success. */
  failure: Omit<Failure, 'succeededSince'> | null
}

export interface CircuitTransitions {
  /**
   * Applies outcomes, in their order.
   * @returns the ids of the notices made: events to be dispatched
   */
  record(outcomes: readonly WebhookOutcome[]): Promise<string[]>
  /** Ends the recovery of a webhook whose ramp is over or that has no waiting delivery (`empty`). @returns as `record` */
  settle(webhookId: string, drain: { empty: boolean }): Promise<string[]>
}

export interface CircuitTransitionsOptions {
  database: Database
  /** A webhook with nothing but failures for this long is disabled. */
  disableAfterMs: number
  log: FastifyBaseLogger
  countEvent?: CountEvent
  now?: () => Date
  random?: () => number
}

export function createCircuitTransitions({
  database,
  disableAfterMs,
  log,
  countEvent,
  now = () => new Date(),
  random = Math.random,
}: CircuitTransitionsOptions): CircuitTransitions {
  /** Webhooks of which this process saw a success after the last failure. */
  const succeeded = new Set<string>()

  /** The outcomes that are written. A success that ends nothing is only kept in `succeeded`. */
  function recordedOf(outcomes: readonly WebhookOutcome[]): RecordedOutcome[] {
    return outcomes.flatMap(({ webhookId, health, failure }): RecordedOutcome[] => {
      if (failure !== null) {
        return [{ webhookId, failure: { ...failure, succeededSince: succeeded.delete(webhookId) } }]
      }
      succeeded.add(webhookId)
      return endsWithSuccess(health) ? [{ webhookId, failure }] : []
    })
  }

  async function changeOf(
    tx: Queryable,
    before: Health,
    { webhookId, failure }: RecordedOutcome,
  ): Promise<HealthChange> {
    if (failure === null) return afterSuccess(before, now())
    const change = afterFailure(before, failure, { now: now(), random: random(), disableAfterMs })
    if (change.disable === undefined || failure.gone) return change
    // successes of other processes are not in its health
    if (!(await hasSucceeded(tx, webhookId, change.health.failingSince!))) return change
    return afterFailure({ ...before, failingSince: null }, failure, { now: now(), random: random(), disableAfterMs })
  }

  /** Writes a line of each notice that was stored, and counts it. @returns the ids of their events */
  function report(notices: readonly StoredNotice[]): string[] {
    for (const { id, type, webhook } of notices) {
      countEvent?.({ type, source: 'relay' })
      const { level, text } = LINES[type]
      log[level](fieldsOf(id, webhook), text)
    }
    return notices.map(({ id }) => id)
  }

  return {
    async record(outcomes) {
      const recorded = recordedOf(outcomes)
      if (recorded.length === 0) return []
      // Lock order: by webhook id, so that two batches with the same webhooks cannot deadlock.
      const ordered = [...recorded].sort((a, b) => (a.webhookId < b.webhookId ? -1 : Number(a.webhookId > b.webhookId)))
      try {
        const notices = await database.transaction(async (tx) => {
          const transitions: Transition[] = []
          for (const outcome of ordered) {
            const change = (before: Health) => changeOf(tx, before, outcome)
            transitions.push(...(await apply(tx, outcome.webhookId, change, now())))
          }
          return publish(tx, transitions, now())
        })
        return report(notices)
      } catch (error) {
        // the outcomes will be recorded again: they must find what this process knew before
        for (const { webhookId, failure } of recorded) if (failure?.succeededSince) succeeded.add(webhookId)
        throw error
      }
    },
    async settle(webhookId, drain) {
      const notices = await database.transaction(async (tx) => {
        const settled = async (health: Health) => afterDrain(health, { ...drain, now: now() })
        return publish(tx, await apply(tx, webhookId, settled, now()), now())
      })
      return report(notices)
    },
  }
}

/** An outcome that changes the health of its webhook. */
interface RecordedOutcome {
  webhookId: string
  failure: Failure | null
}

/** A change of a webhook's state or status, or the beginning or end of a hold. */
interface Transition {
  webhookId: string
  disabled: boolean
  notice: Notice | undefined
}

/** A notice that was stored, with the webhook as it tells of it. */
interface StoredNotice {
  id: string
  type: Notice
  webhook: HealthReport
}

const LINES = {
  'webhook.failing': { level: 'warn', text: 'webhook failing' },
  'webhook.recovered': { level: 'info', text: 'webhook recovered' },
  'webhook.disabled': { level: 'warn', text: 'webhook disabled' },
} as const

function fieldsOf(eventId: string, { id, name, disabled_reason: reason, ...webhook }: HealthReport) {
  const { failing_since: since, last_failure: failure } = webhook
  return {
    ...{ webhook_id: id, webhook: name, event_id: eventId },
    ...(since === null ? {} : { failing_since: since, last_failure: failure }),
    ...(reason === null ? {} : { disabled_reason: reason }),
  }
}

/** Writes the effect of an outcome, or of the end of a recovery, on a webhook's health. @returns the transition, if there is one */
async function apply(
  tx: Queryable,
  webhookId: string,
  changeOf: (before: Health) => Promise<HealthChange | undefined>,
  now: Date,
): Promise<Transition[]> {
  const before = await lockHealth(tx, webhookId)
  const change = before && (await changeOf(before))
  if (!change) return []
  await writeHealth(tx, webhookId, change.health)
  // false when it was disabled before: then its notice exists, too
  const disabled = change.disable !== undefined && (await disableWebhook(tx, webhookId, change.disable, now))
  if (disabled) await insertAuditEntry(tx, auditEntryOf(webhookId, change.disable!), now)
  const isHeldAsBefore = (change.health.resumeAt === null) === (before.resumeAt === null)
  if (change.health.state === before.state && isHeldAsBefore && !disabled) return []
  return [{ webhookId, disabled, notice: change.disable === undefined || disabled ? change.notice : undefined }]
}

function auditEntryOf(target: string, disabledReason: string) {
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

/** Stores the notices of transitions. The registry's row is locked last, since every writer needs it. */
async function publish(tx: Queryable, transitions: readonly Transition[], now: Date): Promise<StoredNotice[]> {
  if (transitions.length === 0) return []
  const notices: StoredNotice[] = []
  for (const { webhookId, notice } of transitions) {
    const webhook = notice && (await findHealthReport(tx, webhookId))
    // a disabled webhook makes no further notices
    const isNews = webhook?.status === 'enabled' || notice === 'webhook.disabled'
    if (!webhook || !isNews) continue
    notices.push({
      id: await storeNotice(tx, notice, { webhookId, subject: { ...webhook }, now }),
      type: notice,
      webhook,
    })
  }
  await markHealthChanged(tx, { disabled: transitions.some(({ disabled }) => disabled) })
  return notices
}
