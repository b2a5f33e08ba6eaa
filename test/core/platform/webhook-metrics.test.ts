import { Registry } from 'prom-client'
import t from 'tap'
import { createWebhookMetrics, MAX_WEBHOOKS, type WebhookStates } from '../../../src/core/platform/webhook-metrics.js'

const webhook = (n: number) => ({ id: `wh_${String(n).padStart(4, '0')}`, name: n % 2 ? `hook ${n}` : null })
const listOf = (from: number, to: number): WebhookStates['listed'] =>
  Array.from({ length: to - from }, (_, i) => ({ ...webhook(from + i), state: 'healthy', waiting: i }))

function create() {
  const registry = new Registry()
  const metrics = createWebhookMetrics([registry])
  /** The samples of a scrape: their values by name and labels. */
  const scrape = async (states?: WebhookStates) => {
    metrics.write(states)
    const text = await registry.metrics()
    return new Map([...text.matchAll(/^(\w+\{.*\}) (\d+)$/gm)].map(([, name, value]) => [name!, Number(value)]))
  }
  return { ...metrics, scrape }
}

t.test('each webhook has its attempts, dead deliveries, backlog and state by id and name', async (t) => {
  const { countAttempt, countDead, scrape } = create()
  for (const outcome of ['succeeded', 'timeout', 'timeout']) countAttempt(webhook(1), outcome)
  countDead(webhook(2))
  t.same(Object.fromEntries(await scrape({ listed: listOf(1, 3), others: undefined })), {
    'alert_relay_webhook_attempts_total{webhook_id="wh_0001",webhook="hook 1",outcome="succeeded"}': 1,
    'alert_relay_webhook_attempts_total{webhook_id="wh_0001",webhook="hook 1",outcome="timeout"}': 2,
    'alert_relay_deliveries_dead_total{webhook_id="wh_0001",webhook="hook 1"}': 0,
    'alert_relay_deliveries_dead_total{webhook_id="wh_0002",webhook="wh_0002"}': 1,
    'alert_relay_webhook_backlog{webhook_id="wh_0001",webhook="hook 1"}': 0,
    'alert_relay_webhook_backlog{webhook_id="wh_0002",webhook="wh_0002"}': 1,
    'alert_relay_webhook_state{webhook_id="wh_0001",webhook="hook 1",state="healthy"}': 1,
    'alert_relay_webhook_state{webhook_id="wh_0002",webhook="wh_0002",state="healthy"}': 1,
  })
})

t.test("a deleted webhook's series go, and a renamed one keeps its counts", async (t) => {
  const { countAttempt, scrape } = create()
  for (const n of [1, 2]) countAttempt(webhook(n), 'succeeded')
  await scrape({ listed: listOf(1, 3), others: undefined })
  const [one] = listOf(1, 2)
  const after = await scrape({ listed: [{ ...one!, name: 'new name' }], others: undefined })
  t.same(
    [...after.keys()].filter((name) => /wh_0002|hook 1|other/.test(name)),
    [],
  )
  t.equal(
    after.get('alert_relay_webhook_attempts_total{webhook_id="wh_0001",webhook="new name",outcome="succeeded"}'),
    1,
  )
})

t.test(`beyond ${MAX_WEBHOOKS} webhooks the rest is one, whose counts never go down`, async (t) => {
  const { countAttempt, countDead, scrape } = create()
  const last = MAX_WEBHOOKS + 20
  // in the reverse of the order of their ids: at first those that are not listed have places
  for (let n = last - 1; n >= 0; n--) countAttempt(webhook(n), 'succeeded')
  const others = { states: { failing: 3, healthy: 17 }, waiting: 7 }
  const samples = await scrape({ listed: listOf(0, MAX_WEBHOOKS), others })
  const rest = 'webhook_id="other",webhook="other"'
  const total = [...samples]
    .filter(([name]) => name.includes('attempts_total'))
    .reduce((sum, [, value]) => sum + value, 0)
  t.equal(total, last, 'every attempt is counted once')
  t.match(Object.fromEntries(samples), {
    [`alert_relay_webhook_attempts_total{${rest},outcome="succeeded"}`]: Number,
    [`alert_relay_webhook_backlog{${rest}}`]: 7,
    [`alert_relay_webhook_state{${rest},state="failing"}`]: 3,
    [`alert_relay_webhook_state{${rest},state="healthy"}`]: 17,
  })
  const ids = new Set([...samples.keys()].map((name) => /webhook_id="(\w+)"/.exec(name)![1]))
  t.equal(ids.size, MAX_WEBHOOKS + 1)
  const before = samples.get(`alert_relay_webhook_attempts_total{${rest},outcome="succeeded"}`)!
  countDead(webhook(last - 1))
  countAttempt(webhook(last - 1), 'succeeded')
  // one is deleted: another takes its place, with its counts from then on
  const later = await scrape({ listed: listOf(1, MAX_WEBHOOKS + 1), others })
  t.equal(later.get(`alert_relay_webhook_attempts_total{${rest},outcome="succeeded"}`), before + 1)
  t.equal(later.get(`alert_relay_deliveries_dead_total{${rest}}`), 1)
  t.notOk([...later.keys()].some((name) => name.includes('wh_0000')))
})
