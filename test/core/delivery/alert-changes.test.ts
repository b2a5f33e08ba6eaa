import fc from 'fast-check'
import t, { type Test } from 'tap'
import { flattenContext } from '../../../src/core/alert/context.js'
import { recordSpared } from '../../../src/core/delivery/webhook-alert-store.js'
import { insertRecovery, stepRecovery } from '../../../src/core/delivery/recovery-store.js'
import { replayDeliveries } from '../../../src/core/delivery/restart-store.js'
import { createAcceptMatches } from '../../../src/core/event/accept-matches.js'
import { findEvent } from '../../../src/core/event/event-store.js'
import { quietAlerts } from '../../../src/core/event/quiet.js'
import type { JsonObject } from '../../../src/core/platform/json.js'
import type { Webhook } from '../../../src/core/webhook/webhook.js'
import { deleteAll, queueProcess, type Answer } from '../../helpers/queue-process.js'
import { ruleMatch } from '../../helpers/rule-match.js'
import { createTestWorkers, log, type TestWorkers } from '../../helpers/workers.js'

interface Body {
  context_diff: JsonObject
  relay: { type: string; sequence: number; changes?: number; first_sequence?: number; previous_severity?: string }
}

function change(alertId: string, values: readonly number[], severity = 'low'): string {
  const context = { v: values }
  return JSON.stringify({
    updated_alert: { id: alertId, severity },
    incoming_rule_matches_context: context,
    context_diff: {},
  })
}

const newIn = ({ context_diff: diff }: Body) => flattenContext(diff).map(({ value }) => Number(value))
const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b)

/** The receiver takes a request; refuses it; takes it, but its answer is lost; takes it, and the process of the relay dies. */
type Mode = 'up' | 'down' | 'lossy' | 'crash'

/** A webhook with these fields, two processes, and a receiver that ignores an event id that it has seen. */
async function scene(workers: TestWorkers, fields: Partial<Webhook>) {
  const { database, addWebhook, publish } = workers
  await deleteAll(workers)
  const schedule = Array.from({ length: 30 }, () => 60)
  const { webhook } = await addWebhook(() => ({ status: 500 }), { retry_schedule_s: schedule, ...fields })
  const it = {
    webhook,
    mode: 'up' as Mode,
    /** Counts the intervals that are over. */
    interval: 0,
    taken: new Map<string, { body: Body; interval: number; isRetry: boolean }>(),
    texts: new Map<string, Set<string>>(),
    sent: 0,
    bodies: () => [...it.taken.values()].map(({ body }) => body),
    publish,
    async send(...messages: string[]) {
      const ids = []
      for (const message of messages) {
        const { id } = await publish(message)
        await workers.dispatch({ eventId: id })
        ids.push(id)
      }
      await it.work()
      return ids
    },
    /** Works the delivery queue with everything due whose own time alone is ahead. */
    async work(by = 0) {
      await database.query(
        `update deliveries set next_attempt_at = now() - interval '1 second' where status = 'pending'`,
      )
      await database.query(`update delivery_queues set recovering_since = now() - interval '39 seconds'`)
      await database.query(
        `update delivery_queues set probe_at = now() - interval '1 second' where probe_at is not null`,
      )
      await processes[by]!.work(webhook.id).catch((error: Error) => {
        if (error.message !== 'the process died') throw error
      })
      if (it.mode === 'crash') await database.query(`update delivery_queues set holder = null, held_until = null`)
    },
    async later() {
      it.interval++
      await database.query(`update webhook_alerts set sent_at = sent_at - interval '5 minutes'`)
      await database.query(
        `update deliveries set next_attempt_at = next_attempt_at - interval '5 minutes' where status = 'pending'`,
      )
    },
    count: async (sql: string) => Number((await database.query<{ n: bigint }>(sql)).rows[0]!.n),
    pending: () => it.count(`select count(*) as n from deliveries where status = 'pending'`),
  }
  const answer: Answer = ({ event, number, body: { bytes } }) => {
    const text = bytes.toString()
    it.sent++
    it.texts.set(event.id, (it.texts.get(event.id) ?? new Set()).add(text))
    if (it.mode === 'down') return 500
    const taken = { body: JSON.parse(text) as Body, interval: it.interval, isRetry: number > 1 }
    if (!it.taken.has(event.id)) it.taken.set(event.id, taken)
    if (it.mode === 'crash') throw new Error('the process died')
    return it.mode === 'up' ? 200 : 'lost'
  }
  const processes = ['one', 'two'].map((holder) => queueProcess(workers, holder, answer))
  return it
}

type Step =
  | { kind: 'change'; values: number[]; late: boolean }
  | { kind: 'dispatch'; which: number; twice: boolean }
  | { kind: 'work'; by: number }
  | { kind: Mode | 'later' }

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.uniqueArray(fc.nat(6), { minLength: 1, maxLength: 2 }), fc.nat(2))
      .map(([values, n]): Step => ({ kind: 'change', values, late: n === 0 })),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant('dispatch' as const), which: fc.nat(9), twice: fc.boolean() }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('work' as const), by: fc.nat(1) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constantFrom('up', 'down', 'lossy', 'crash', 'later', 'later') }) },
)
const fields = fc.record({
  only_new: fc.boolean(),
  coalesce: fc.constantFrom(false, true, { every: '5m' }, { every: '5m' }),
  order: fc.constantFrom('none' as const, 'none' as const, 'alert' as const),
})

/** @returns what is wrong at the end; undefined: nothing */
async function run(
  workers: TestWorkers,
  fields: Partial<Webhook>,
  steps: readonly Step[],
): Promise<string | undefined> {
  const it = await scene(workers, fields)
  const other = workers.process('two')
  const published: number[][] = []
  const waiting: string[] = []
  const dispatch = async (which: number, twice: boolean) => {
    const [eventId] = waiting.splice(which % (waiting.length || 1), 1)
    if (eventId === undefined) return
    await Promise.all([workers.dispatch({ eventId }), ...(twice ? [other.dispatch({ eventId })] : [])])
  }
  const work = async (by: number) => {
    // in order, nothing is sent before an earlier change is dispatched
    while (fields.order === 'alert' && waiting.length > 0) await dispatch(by, false)
    await it.work(by)
    if (it.mode === 'crash') it.mode = 'down'
  }
  for (const one of steps) {
    if (one.kind === 'change') {
      published.push(one.values)
      waiting.push((await it.publish(change('alert', one.values))).id)
      if (!one.late) await dispatch(waiting.length - 1, false)
    } else if (one.kind === 'dispatch') await dispatch(one.which, one.twice)
    else if (one.kind === 'work') await work(one.by)
    else if (one.kind === 'later') await it.later()
    else it.mode = one.kind
  }
  it.mode = 'up'
  while (waiting.length > 0) await dispatch(0, false)
  for (let round = 0; round < 40 && (await it.pending()) > 0; round++) {
    await it.later()
    await work(round % 2)
  }
  if ((await it.pending()) > 0) return 'a delivery is still pending'
  const left = await it.count('select coalesce(sum(spared), 0) as n from webhook_alerts')
  return wrongIn(it, published, fields, left)
}

function wrongIn(
  it: Awaited<ReturnType<typeof scene>>,
  published: readonly number[][],
  { only_new: onlyNew, coalesce }: Partial<Webhook>,
  left: number,
): string | undefined {
  const bodies = it.bodies()
  for (const texts of it.texts.values()) if (texts.size > 1) return 'an event was sent with two contents'
  const all = String(sorted(new Set(published.flat())))
  const union = String(sorted(bodies.flatMap(newIn)))
  if (union !== all) return `the values ${union} are called new, of ${all}`
  const changes = bodies.reduce((sum, { relay }) => sum + (relay.changes ?? 1), 0)
  if (changes + left !== published.length) return `${changes} changes are sent and ${left} wait, of ${published.length}`
  if (onlyNew && bodies.some((body) => newIn(body).length === 0)) return 'a change without news was sent'
  if (!onlyNew && left > 0) return 'a change was spared'
  // a retry has its own time
  const intervals = [...it.taken.values()].flatMap(({ interval, isRetry }) => (isRetry ? [] : [interval]))
  if (typeof coalesce === 'object' && new Set(intervals).size < intervals.length) return 'two came within an interval'
  return undefined
}

t.test('which changes of an alert a webhook is sent, and how often', async (t) => {
  const workers = await createTestWorkers(t)
  const { database } = workers
  const test = (rule: string, body: (t: Test) => Promise<void>) => t.test(rule, body)

  await test('whatever the order of changes, dispatches, failures and crashes: every value is new once, every change counted once, at most one comes in an interval', async () => {
    await fc.assert(
      fc.asyncProperty(fields, fc.array(step, { minLength: 8, maxLength: 30 }), async (fields, steps) => {
        const wrong = await run(workers, fields, steps)
        if (wrong !== undefined) throw new Error(wrong)
      }),
      { numRuns: 25, endOnFailure: true },
    )
  })

  await test('with only_new a webhook gets new values, risen severities, changed states and what is no change', async (t) => {
    const it = await scene(workers, { only_new: true })
    await it.send(change('a', [1]))
    await it.send(change('a', [1, 2]))
    const [spared] = await it.send(change('a', [1]), change('a', [2]))
    await it.send(change('a', [1], 'high'))
    await it.send(change('a', [2], 'medium'))
    await it.send('no change of an alert')
    await quietAlerts(workers, { before: new Date(Date.now() + 1000), now: new Date(), limit: 10 })
    const quiet = await database.query<{ id: string }>(`select id from events where type = 'alert.quiet'`)
    await workers.dispatch({ eventId: quiet.rows[0]!.id })
    await it.work()
    t.match(
      it.bodies().map(({ relay }) => relay),
      [
        { type: 'alert.created', sequence: 1 },
        { type: 'alert.updated', sequence: 2 },
        { type: 'alert.updated', sequence: 5, previous_severity: 'low', changes: 3 },
        { type: 'sns.notification' },
        { type: 'alert.quiet', sequence: 7, changes: 2 },
      ],
    )
    t.match(await workers.deliveriesOf(spared!), [
      { status: 'dropped', reason: /^nothing new in it/, attempt_count: 0, next_attempt_at: null },
    ])
  })

  await test('a change that a webhook is spared wakes no queue, is left out of recoveries, and can be replayed', async (t) => {
    const it = await scene(workers, { only_new: true })
    await it.send(change('a', [1]))
    workers.woken.length = 0
    const [spared] = await it.send(change('a', [1]))
    t.same(workers.woken, [])
    const event = (await findEvent(database, spared!))!
    await recordSpared(database, [{ event, webhookId: it.webhook.id }], new Date())
    await insertRecovery(
      database,
      it.webhook.id,
      { since: new Date(0), until: new Date(Date.now() + 1000) },
      new Date(),
    )
    await stepRecovery(database, workers.registry, new Date(), 100)
    await it.work()
    t.equal(it.sent, 1)
    await replayDeliveries(database, event, [it.webhook.id], new Date())
    await it.work()
    t.notOk('changes' in it.taken.get(spared!)!.body.relay)
    const [news] = await it.send(change('a', [3]))
    t.equal(it.taken.get(news!)!.body.relay.changes, 2)
    await replayDeliveries(database, (await findEvent(database, news!))!, [it.webhook.id], new Date())
    await it.work()
    t.equal(it.texts.get(news!)!.size, 1, 'sent again with the same bytes')
    t.equal(it.sent, 4)
  })

  await test('300 matches of one rule in a minute are two messages: the first, and 299 changes when the interval is over', async (t) => {
    const it = await scene(workers, { coalesce: { every: '5m' } })
    const start = Date.parse('2026-01-01T00:00:00.000Z')
    let now = start
    const acceptMatches = createAcceptMatches({ database, queues: workers.queues, now: () => new Date(now) })
    for (let i = 0; i < 12; i++) {
      const eventIds = []
      for (let j = 0; j < 25; j++, now += 200) {
        const [alert] = await acceptMatches([ruleMatch({ v: 25 * i + j })], { idempotency: undefined, log })
        eventIds.push(alert!.event_id!)
      }
      // the first alone, since what waits goes together
      if (i === 0) await workers.dispatch({ eventId: eventIds.shift()! })
      if (i === 0) await it.work()
      await Promise.all(eventIds.map((eventId) => workers.dispatch({ eventId })))
      await it.work(i % 2)
    }
    await it.work()
    t.equal(it.sent, 1)
    await it.later()
    await it.work()
    t.equal(await it.pending(), 0)
    const [first, second] = it.bodies()
    t.same(newIn(first!), [0])
    t.match(second!.relay, { type: 'alert.updated', sequence: 300, changes: 299, first_sequence: 2 })
    t.same(
      sorted(newIn(second!)),
      Array.from({ length: 299 }, (_, i) => i + 1),
    )
    t.equal(it.sent, 2)
  })

  await test('within an interval, what waits goes with the retry of a delivery that was refused', async (t) => {
    const it = await scene(workers, { coalesce: { every: '5m' } })
    it.mode = 'down'
    await it.send(change('a', [1]))
    it.mode = 'up'
    const ids = await it.send(change('a', [2]), change('b', [9]))
    t.match(
      ids.map((id) => it.taken.get(id)!.body.relay),
      [{ sequence: 2, type: 'alert.created', changes: 2 }, { sequence: 1 }],
    )
    await it.send(change('a', [3]))
    t.equal(it.sent, 3)
    await it.later()
    await it.work()
    t.equal(it.sent, 4)
  })

  await test('a delivery that was refused hands on what it counts to the one that it goes with', async (t) => {
    const it = await scene(workers, { coalesce: true, only_new: true })
    await it.send(change('a', [1]))
    it.mode = 'down'
    await it.send(change('a', [1]), change('a', [2]))
    await database.query(
      `update delivery_queues set health = 'failing', failures = 5, failing_since = now(), probe_at = now()`,
    )
    it.mode = 'up'
    const [, news] = await it.send(change('a', [2]), change('a', [3]))
    t.match(it.taken.get(news!)!.body.relay, { changes: 4, first_sequence: 3 })
    t.equal(it.sent, 3)
  })

  await test('upkeep forgets what was sent a day ago, and not what a webhook was spared', async (t) => {
    const it = await scene(workers, { coalesce: { every: '5m' }, only_new: true })
    await it.send(change('a', [1]), change('b', [1]))
    await it.send(change('b', [1]))
    await workers.runUpkeep(() => Date.now() + 25 * 3600_000)
    t.equal(await it.count('select count(*) as n from webhook_alerts where spared = 1'), 1)
    t.equal(await it.count('select count(*) as n from webhook_alerts'), 1)
  })
})
