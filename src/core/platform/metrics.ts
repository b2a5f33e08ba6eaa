/**
 * Metrics in Prometheus' text format.
 *
 * Guarantee: label values are from fixed lists (results, outcomes, queues, routes), never from a request, so the number of
 * series is bounded; webhook-metrics.ts bounds those of webhooks.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { shareAnswer } from './share-answer.js'
import { VERSION } from './version.js'
import { createWebhookMetrics, type MeasuredWebhook, type WebhookStates } from './webhook-metrics.js'

/** From the latency of a local network to the longest attempt, in seconds. */
const ATTEMPT_BUCKETS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
/** From 10 ms to the end of the retry schedule, in seconds. */
const DELIVERY_BUCKETS_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600, 36_000, 360_000]

/** Results of messages whose first one is an alert, and `stored`. */
const MESSAGE_RESULTS = [
  ...['stored', 'undecided', 'internal_error', 'malformed_message', 'signature_mismatch', 'raw_delivery'],
  ...['topic_not_allowed', 'certificate_not_trusted', 'subscribe_url_not_trusted', 'stale_message', 'too_many_hops'],
  'signature_version',
]
/** Reading the backlog costs the database something, and anybody may scrape: within this time it is read once. */
const BACKLOG_KEPT_MS = 1000

/** What is read from the database and the queues at each scrape. */
export interface Backlog {
  /** Undispatched events and pending deliveries, each counted up to a limit. */
  undispatchedEvents: number
  pendingDeliveries: number
  /** How long the oldest of them is overdue, in seconds; 0 when none is. */
  oldestDueS: number
  /** Webhooks by health state, or disabled. */
  webhooks: Record<string, number>
  byWebhook: WebhookStates
  /** Topics that wait for approval. */
  pendingTopics: number
  /** Jobs in the queues, by queue and state. */
  jobs: { queue: string; state: string; count: number }[]
}

export type Metrics = ReturnType<typeof createMetrics>

/** Makes the metrics of one process; `readBacklog` is called at each scrape. */
export function createMetrics(readBacklog: () => Promise<Backlog>) {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  const messages = new Counter({
    name: 'alert_relay_sns_messages_total',
    help: 'Messages posted to /sns, by result.',
    labelNames: ['result'],
    registers,
  })
  const refusedKeys = new Counter({
    name: 'alert_relay_keys_refused_total',
    help: 'Requests with an API key that is not known, was revoked or has expired.',
    registers,
  })
  const unread = new Counter({
    name: 'alert_relay_unread_messages_total',
    help: 'Messages that were meant as an alert change and are none, by reason.',
    labelNames: ['reason'],
    registers,
  })
  const attempts = new Counter({
    name: 'alert_relay_attempts_total',
    help: 'Delivery attempts, by outcome.',
    labelNames: ['outcome'],
    registers,
  })
  const attemptSeconds = new Histogram({
    name: 'alert_relay_attempt_duration_seconds',
    help: 'Duration of delivery attempts.',
    buckets: ATTEMPT_BUCKETS_S,
    registers,
  })
  const deliverySeconds = new Histogram({
    name: 'alert_relay_delivery_latency_seconds',
    help: 'Time from the arrival of an event to the success of a delivery.',
    buckets: DELIVERY_BUCKETS_S,
    registers,
  })
  const dispatchSeconds = new Histogram({
    name: 'alert_relay_dispatch_latency_seconds',
    help: 'Time from the arrival of an event to the record of its dispatch.',
    buckets: DELIVERY_BUCKETS_S,
    registers,
  })
  const certificates = new Counter({
    name: 'alert_relay_certificate_fetches_total',
    help: "Fetches of SNS's signing certificates, by result.",
    labelNames: ['result'],
    registers,
  })
  const webhooks = new Gauge({
    name: 'alert_relay_webhooks',
    help: 'Webhooks by health: healthy (the circuit is closed), failing (open), recovering (half-open), disabled.',
    labelNames: ['state'],
    registers,
  })
  const backlog = new Gauge({
    name: 'alert_relay_backlog',
    help: 'Stored work that is not done, counted up to 100000.',
    labelNames: ['kind'],
    registers,
  })
  const oldestDue = new Gauge({
    name: 'alert_relay_backlog_oldest_due_seconds',
    help: 'How long the oldest undone work is overdue.',
    registers,
  })
  const jobs = new Gauge({
    name: 'alert_relay_queue_jobs',
    help: 'Jobs in the queues.',
    labelNames: ['queue', 'state'],
    registers,
  })

  const events = new Counter({
    name: 'alert_relay_events_total',
    help: 'Events stored, by type and by what brought them in: sns, rule_matches, relay (notices, quiet alerts, tests).',
    labelNames: ['type', 'source'],
    registers,
  })
  const requests = new Counter({
    name: 'alert_relay_http_requests_total',
    help: 'Requests by method, route and class of the status.',
    labelNames: ['method', 'route', 'status'],
    registers,
  })
  const pendingTopics = new Gauge({
    name: 'alert_relay_topics_pending',
    help: 'Topics that wait for approval.',
    registers,
  })
  const buildInfo = new Gauge({
    name: 'alert_relay_build_info',
    help: 'Always 1: the versions of the relay and of Node.',
    labelNames: ['version', 'node_version'],
    registers,
  })
  buildInfo.set({ version: VERSION, node_version: process.version }, 1)
  const byWebhook = createWebhookMetrics(registers)
  const shareBacklog = shareAnswer(readBacklog, BACKLOG_KEPT_MS)

  // Exported as 0 from the start, so that increase() sees the first one.
  for (const result of ['fetched', 'failed']) certificates.inc({ result }, 0)
  for (const result of MESSAGE_RESULTS) messages.inc({ result }, 0)

  return {
    countMessage: (result: string) => messages.inc({ result }),
    countRefusedKey: () => refusedKeys.inc(),
    countUnread: (reason: string, by = 1) => unread.inc({ reason }, by),
    countAttempt(outcome: string, durationMs: number, webhook: MeasuredWebhook) {
      attempts.inc({ outcome })
      attemptSeconds.observe(durationMs / 1000)
      byWebhook.countAttempt(webhook, outcome)
    },
    countDead: byWebhook.countDead,
    countEvent: (event: { type: string; source: string }) => events.inc(event),
    /** @param request.route as it is registered, with the names of its parameters; undefined: there is none for the path */
    countRequest({ method, route, statusCode }: { method: string; route: string | undefined; statusCode: number }) {
      // a method that a path does not have may be any of dozens
      const known = route === undefined || statusCode === 405 ? 'other' : method
      requests.inc({ method: known, route: route ?? 'none', status: `${Math.floor(statusCode / 100)}xx` })
    },
    observeDispatch: (seconds: number) => dispatchSeconds.observe(seconds),
    countCertificateFetch: (result: 'fetched' | 'failed') => certificates.inc({ result }),
    observeDelivery: (seconds: number) => deliverySeconds.observe(seconds),
    contentType: registry.contentType,
    /** The metrics as text. While the database or the queue does not answer, the backlog keeps its last values. */
    async scrape(): Promise<string> {
      const now = await shareBacklog().catch(() => undefined)
      byWebhook.write(now?.byWebhook)
      if (!now) return registry.metrics()
      backlog.set({ kind: 'undispatched_events' }, now.undispatchedEvents)
      backlog.set({ kind: 'pending_deliveries' }, now.pendingDeliveries)
      oldestDue.set(now.oldestDueS)
      pendingTopics.set(now.pendingTopics)
      for (const [state, count] of Object.entries(now.webhooks)) webhooks.set({ state }, count)
      for (const { queue, state, count } of now.jobs) jobs.set({ queue, state }, count)
      return registry.metrics()
    },
  }
}
