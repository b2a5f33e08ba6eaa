import fc from 'fast-check'
import t, { type Test } from 'tap'
import { flattenContext } from '../../../src/core/alert/context.js'
import { coalesceWaiting, loadCoalesced, takeDue, uncountAttempts } from '../../../src/core/delivery/coalesce.js'
import { replayDeliveries, restartDelivery } from '../../../src/core/delivery/restart-store.js'
import { deleteOldEvents, findEvent } from '../../../src/core/event/event-store.js'
import type { JsonObject } from '../../../src/core/platform/json.js'
import type { Webhook } from '../../../src/core/webhook/webhook.js'
import { deleteWebhook } from '../../../src/core/webhook/webhook-store.js'
import { queueProcess, type Answer } from '../../helpers/queue-process.js'
import { createTestWorkers, type TestWorkers } from '../../helpers/workers.js'

/** A schedule that does not end in a test. */
const LONG_SCHEDULE = Array.from({ length: 30 }, () => 60)

interface Body {
  updated_alert: { context: JsonObject }
  context_diff: JsonObject
  indicators?: { path: string; value: unknown }[]
  relay: { event_id: string; type: string; sequence: number; changes?: number; first_sequence?: number }
}

function change(alertId: string, values: readonly number[]): string {
  const context = { v: values }
  return JSON.stringify({ updated_alert: { id: alertId }, incoming_rule_matches_context: context, context_diff: {} })
}

const valuesOf = (context: JsonObject) => flattenContext(context).map(({ value }) => Number(value))
const sorted = (values: Iterable<number>) => [...values].sort((a, b) => a - b)

/**
 * What happens to a request: the receiver accepts it, refuses it, accepts it but the answer is lost, or accepts it and the
 * process of the relay dies.
 */
type Mode = 'up' | 'down' | 'lossy' | 'crash'

/** A receiver that ignores an event id that it has seen, as Standard Webhooks asks for. */
function receiver() {
  const accepted = new Map<string, Body>()
  const texts = new Map<string, Set<string>>()
  const receiver = { mode: 'up' as Mode, accepted, texts, sent: 0, lost: false, answer: undefined as unknown as Answer }
  receiver.answer = ({ event, body }) => {
    receiver.sent++
    texts.set(event.id, (texts.get(event.id) ?? new Set()).add(body.bytes.toString()))
    if (receiver.mode === 'down') return 500
    if (!accepted.has(event.id)) accepted.set(event.id, JSON.parse(body.bytes.toString()) as Body)
    if (receiver.mode === 'up') return 200
    receiver.lost = true
    if (receiver.mode === 'crash') throw new Error('the process died')
    return 'lost'
  }
  return receiver
}

/** A webhook that coalesces, two processes that work its delivery queue, and a receiver. */
async function scene(workers: TestWorkers, fields: Partial<Webhook> = {}) {
  const { database, publish, dispatch, addWebhook } = workers
  await database.query('delete from webhooks')
  await database.query('delete from delivery_queues')
  await database.query('delete from events')
  const { webhook } = await addWebhook(() => ({ status: 500 }), {
    coalesce: true,
    retry_schedule_s: LONG_SCHEDULE,
    ...fields,
  })
  await database.query('update registry set version = version + 1')
  const to = receiver()
  const processes = ['one', 'two'].map((holder) => queueProcess(workers, holder, (input) => to.answer(input)))
  return {
    webhook,
    to,
    async publish(alertId: string, values: readonly number[]) {
      const event = await publish(change(alertId, values))
      await dispatch({ eventId: event.id })
      return event
    },
    /** Opens the circuit, as if five attempts had failed. */
    async fail() {
      await database.query(
        `update delivery_queues set health = 'failing', failures = 5, failing_since = now(), probe_at = now()`,
      )
    },
    /** Works the delivery queue with everything due, and the ramp nearly over, so that it does not slow the test. */
    async work(by = 0) {
      await database.query(
        `update deliveries set next_attempt_at = now() - interval '1 second' where status = 'pending'`,
      )
      await database.query(
        `update delivery_queues set probe_at = now() - interval '1 second', recovering_since = now() - interval '39 seconds'`,
      )
      await processes[by]!.work(webhook.id).catch((error: Error) => {
        if (error.message !== 'the process died') throw error
      })
    },
    /** Leaves the lease to a process that died, expired. */
    async expireLease() {
      await database.query(`update delivery_queues set holder = 'dead', held_until = now() - interval '1 second'`)
    },
    async pending() {
      return (await database.query(`select from deliveries where status = 'pending'`)).rowCount
    },
  }
}

type Scene = Awaited<ReturnType<typeof scene>>
type Step = { kind: 'change'; values: number[] } | { kind: Mode | 'fail' } | { kind: 'work'; by: number }

const news = fc
  .uniqueArray(fc.nat(11), { minLength: 1, maxLength: 3 })
  .map((values): Step => ({ kind: 'change', values }))
const work = fc.nat(1).map((by): Step => ({ kind: 'work', by }))
function steps(...modes: (Mode | 'fail')[]): fc.Arbitrary<Step[]> {
  const mode = fc.constantFrom(...modes).map((kind): Step => ({ kind }))
  return fc.array(
    fc.oneof({ weight: 5, arbitrary: news }, { weight: 3, arbitrary: work }, { weight: 2, arbitrary: mode }),
    { minLength: 5, maxLength: 25 },
  )
}

let alerts = 0
const counts = { coalesced: 0, lost: 0 }

/** Runs the steps, then lets everything be delivered. @returns what is wrong at the end; undefined: nothing */
async function run(
  workers: TestWorkers,
  fields: Partial<Webhook>,
  steps: readonly Step[],
): Promise<string | undefined> {
  const it = await scene(workers, fields)
  const alertId = `alert-${++alerts}`
  const published: number[][] = []
  for (const step of steps) {
    if (step.kind === 'change') {
      published.push(step.values)
      await it.publish(alertId, step.values)
    } else if (step.kind === 'work') {
      await it.work(step.by)
      if (it.to.mode === 'crash') await it.expireLease()
      if (it.to.mode === 'crash') it.to.mode = 'down'
    } else if (step.kind === 'fail') await it.fail()
    else it.to.mode = step.kind
  }
  it.to.mode = 'up'
  for (let round = 0; round < 5 && (await it.pending()) > 0; round++) await it.work(round % 2)
  if ((await it.pending()) > 0) return 'a delivery is still pending'
  return wrongIn(it, published, fields)
}

function wrongIn({ to }: Scene, published: readonly number[][], { order }: Partial<Webhook>): string | undefined {
  const bodies = [...to.accepted.values()]
  if (to.lost) counts.lost++
  if (bodies.some(({ relay }) => relay.changes)) counts.coalesced++
  for (const texts of to.texts.values()) if (texts.size > 1) return 'an event was sent with two contents'
  const all = sorted(new Set(published.flat()))
  const union = sorted(bodies.flatMap((body) => valuesOf(body.context_diff)))
  const isSame = (one: readonly number[], other: readonly number[]) => String(one) === String(other)
  if (!isSame(sorted(new Set(union)), all)) return `it has the values ${String(union)} of ${String(all)}`
  const changes = bodies.reduce((sum, { relay }) => sum + (relay.changes ?? 1), 0)
  if (!isSame(union, all)) return `values are called new in two ids: ${String(union)}`
  if (changes !== published.length) return `it has ${changes} changes of ${published.length}`
  const latest = bodies.reduce((one, other) => (other.relay.sequence > one.relay.sequence ? other : one), bodies[0]!)
  if (published.length === 0) return bodies.length === 0 ? undefined : 'a body without a change'
  if (latest.relay.sequence !== published.length) return 'it does not have the latest change'
  if (order === 'alert' && latest !== bodies.at(-1)) return 'the latest change did not come last'
  if (!isSame(sorted(valuesOf(latest.updated_alert.context)), all)) return 'it does not have the latest state'
  for (const { relay } of bodies) {
    const isCreated = (relay.first_sequence ?? relay.sequence) === 1
    const type = isCreated ? 'alert.created' : 'alert.updated'
    if (relay.type !== type) return `no ${type}: ${JSON.stringify(relay)}`
  }
  return undefined
}

async function check(t: Test, workers: TestWorkers, arbitrary: fc.Arbitrary<Step[]>, numRuns: number): Promise<void> {
  const order = fc.constantFrom('none' as const, 'alert' as const)
  await fc.assert(
    fc.asyncProperty(order, arbitrary, async (order, steps) => {
      const wrong = await run(workers, { order }, steps)
      if (wrong !== undefined) throw new Error(wrong)
    }),
    { numRuns, endOnFailure: true },
  )
  t.ok(counts.coalesced > numRuns / 10, `${counts.coalesced} of ${numRuns} runs coalesced something`)
}

t.test('coalescing', async (t) => {
  const workers = await createTestWorkers(t)
  const { database } = workers

  await t.test('after outages alone, a receiver has every value and every change exactly once', async (t) => {
    counts.coalesced = counts.lost = 0
    await check(t, workers, steps('up', 'down', 'down', 'fail', 'fail'), 25)
    t.equal(counts.lost, 0)
  })

  await t.test(
    'after lost answers, crashes and takeovers, every value is new in one event id, and the latest state is there',
    async (t) => {
      counts.coalesced = counts.lost = 0
      await check(t, workers, steps('up', 'down', 'lossy', 'crash', 'fail', 'fail'), 25)
      t.ok(counts.lost > 2, `in ${counts.lost} runs an answer was lost`)
    },
  )

  await t.test(
    'changes that wait while a webhook is failing become one delivery, with the new values of each',
    async (t) => {
      const it = await scene(workers)
      await it.fail()
      const events = [await it.publish('one', [1, 2]), await it.publish('one', [2, 3]), await it.publish('one', [4])]
      const other = await it.publish('another', [9])
      await it.work()
      t.equal(it.to.sent, 2)
      const body = it.to.accepted.get(events[2]!.id)!
      t.match(body.relay, {
        event_id: events[2]!.id,
        type: 'alert.created',
        sequence: 3,
        changes: 3,
        first_sequence: 1,
      })
      t.same(sorted(valuesOf(body.context_diff)), [1, 2, 3, 4])
      t.same(sorted(valuesOf(body.updated_alert.context)), [1, 2, 3, 4])
      t.notOk('changes' in it.to.accepted.get(other.id)!.relay)
      const [first] = await workers.deliveriesOf(events[0]!.id)
      const [carrier] = await workers.deliveriesOf(events[2]!.id)
      t.match(first, {
        status: 'folded',
        reason: 'sent with a later change',
        folded_into: carrier!.id,
        attempt_count: 0,
        last_attempt: null,
      })
      t.match(carrier, { status: 'succeeded', folded_into: null })
    },
  )

  await t.test('for a healthy webhook nothing is coalesced', async (t) => {
    const it = await scene(workers)
    for (let i = 0; i < 3; i++) await it.publish('healthy', [i])
    await it.work()
    t.equal(it.to.sent, 3)
  })

  await t.test(
    'changes whose values do not fit into one body stay in several deliveries, and none is lost',
    async (t) => {
      const it = await scene(workers, { max_body_bytes: 4096 })
      const values = Array.from({ length: 10 }, (_, i) => Array.from({ length: 30 }, (_, j) => 1e15 + i * 100 + j))
      for (const some of values) await it.publish('large', some)
      await it.fail()
      for (let i = 0; i < 10; i++) {
        await workers.makeDue()
        await it.work()
      }
      const bodies = [...it.to.accepted.values()]
      t.same(sorted(bodies.flatMap(({ context_diff: diff }) => valuesOf(diff))), values.flat())
      t.ok(bodies.length < values.length, `${bodies.length} bodies`)
    },
  )

  await t.test(
    'a delivery that was attempted carries no further change, and may be coalesced with those that it carries',
    async (t) => {
      const it = await scene(workers)
      const [a, b] = [await it.publish('seal', [1]), await it.publish('seal', [2])]
      await it.fail()
      it.to.mode = 'down'
      await it.work()
      t.equal(it.to.sent, 1)
      t.ok(
        await loadCoalesced(database, (await workers.deliveriesOf(b.id))[0]!.id),
        'the second was sent with the first',
      )
      const c = await it.publish('seal', [3])
      const options = { skip: [], inOrder: false, maxBodyBytes: 1024 * 1024, now: new Date() }
      t.ok(await coalesceWaiting(database, { webhookId: it.webhook.id, alertId: 'seal' }, options))
      t.notOk(
        await coalesceWaiting(database, { webhookId: it.webhook.id, alertId: 'seal' }, options),
        'no other is left',
      )
      const [carrier] = await workers.deliveriesOf(c.id)
      for (const { id } of [a, b]) {
        t.match(await workers.deliveriesOf(id), [{ status: 'folded', folded_into: carrier!.id }])
      }
      it.to.mode = 'up'
      await it.work()
      t.match(it.to.accepted.get(c.id)!.relay, { changes: 3, type: 'alert.created' })
    },
  )

  for (const [how, breakOff] of [
    ['breaks the connection', { status: 0, breaks: true }],
    ['answers too late', { status: 0, hang: true }],
    ['is behind a gateway that times out', { status: 504 }],
  ] as const) {
    await t.test(`a change that a receiver takes and ${how} is not coalesced afterwards`, async (t) => {
      const it = await scene(workers)
      const alertId = `taken-${++alerts}`
      const { receiver, webhook } = await workers.addWebhook(() => breakOff, {
        ...{ coalesce: true, timeout_ms: 1_000, retry_schedule_s: LONG_SCHEDULE },
      })
      await database.query('delete from webhooks where id = $1', [it.webhook.id])
      await database.query('update registry set version = version + 1')
      const first = await it.publish(alertId, [1, 2])
      await workers.work(webhook.id)
      t.equal(receiver.received.length, 1)
      await it.fail()
      const later = [await it.publish(alertId, [2, 3]), await it.publish(alertId, [4])]
      receiver.respond = () => ({ status: 200 })
      for (let round = 0; round < 3; round++) {
        await workers.makeDue()
        await workers.work(webhook.id)
      }
      t.equal(await it.pending(), 0)
      const news = new Map(receiver.received.map(({ id, json }) => [id, valuesOf((json as Body).context_diff)]))
      t.same([...news].sort(), [
        [first.id, [1, 2]],
        [later[1]!.id, [3, 4]],
      ])
    })
  }

  await t.test('a change that succeeded and is sent again by hand is not coalesced', async (t) => {
    const it = await scene(workers)
    const first = await it.publish('again', [1])
    await it.work()
    const [delivery] = await workers.deliveriesOf(first.id)
    t.equal(delivery!.status, 'succeeded')
    await restartDelivery(database, delivery!.id, new Date())
    await it.fail()
    const second = await it.publish('again', [2])
    await it.work()
    await it.work()
    t.same(valuesOf(it.to.accepted.get(second.id)!.context_diff), [2])
    t.equal(it.to.texts.get(first.id)!.size, 1)
  })

  await t.test('a change that was taken up for an attempt which was not started may be coalesced', async (t) => {
    const it = await scene(workers)
    await it.publish('unstarted', [1])
    const options = { state: 'healthy' as const, isProbe: false, skip: [], limit: 10, now: new Date() }
    const due = await takeDue(database, it.webhook, options)
    const coalesce = () =>
      coalesceWaiting(
        database,
        { webhookId: it.webhook.id, alertId: 'unstarted' },
        { skip: [], inOrder: false, maxBodyBytes: 1024 * 1024, now: new Date() },
      )
    await it.publish('unstarted', [2])
    t.notOk(await coalesce(), 'its process may have died')
    await uncountAttempts(
      database,
      due.map(({ id }) => id),
    )
    t.ok(await coalesce())
  })

  await t.test('a delivery in flight, or after a change that is not dispatched, is not coalesced', async (t) => {
    const it = await scene(workers, { order: 'alert' })
    const a = await it.publish('way', [1])
    const b = await it.publish('way', [2])
    const hidden = await workers.publish(change('way', [3]))
    await it.publish('way', [4])
    const [first] = await workers.deliveriesOf(a.id)
    const coalesce = (options: { skip: string[]; inOrder: boolean }) =>
      coalesceWaiting(
        database,
        { webhookId: it.webhook.id, alertId: 'way' },
        { ...options, maxBodyBytes: 1024 * 1024, now: new Date() },
      )
    t.notOk(await coalesce({ skip: [first!.id], inOrder: true }), 'the second has no other to carry')
    t.ok(await coalesce({ skip: [], inOrder: true }))
    t.match(await workers.deliveriesOf(a.id), [{ folded_into: (await workers.deliveriesOf(b.id))[0]!.id }])
    await workers.dispatch({ eventId: hidden.id })
    t.ok(await coalesce({ skip: [], inOrder: true }))
    t.equal(await it.pending(), 1)
  })

  await t.test('a delivery has at most 1,000 changes; more become several deliveries', async (t) => {
    const it = await scene(workers)
    const { id } = await it.publish('many', [1])
    await database.query(
      `with copies as (
         insert into events (id, type, alert_id, sequence, payload, sent_at, received_at)
         select 'evt_' || lpad(n::text, 32, '0'), 'alert.updated', alert_id, n, payload, sent_at, received_at
         from events, generate_series(2, 2500) as n where id = $1 returning id, sequence)
       insert into deliveries
         (id, event_id, webhook_id, status, next_attempt_at, alert_id, sequence, sealed, created_at, updated_at)
       select replace(id, 'evt_', 'dlv_'), id, $2, 'pending', now(), 'many', sequence, false, now(), now() from copies`,
      [id, it.webhook.id],
    )
    const coalesce = () =>
      coalesceWaiting(
        database,
        { webhookId: it.webhook.id, alertId: 'many' },
        { skip: [], inOrder: false, maxBodyBytes: 1024 * 1024, now: new Date() },
      )
    while (await coalesce());
    const { rows } = await database.query<{ carried: bigint }>(
      `select count(*) as carried from deliveries where folded_into is not null group by folded_into`,
    )
    t.ok(rows.every(({ carried }) => carried < 1000n))
    t.equal(rows.reduce((sum, { carried }) => sum + Number(carried), 0) + (await it.pending()), 2500)
    t.ok((await it.pending()) <= 5)
  })

  await t.test('with once, every indicator that was claimed is sent', async () => {
    const order = fc.constantFrom('none' as const, 'alert' as const)
    await fc.assert(
      fc.asyncProperty(order, steps('up', 'down', 'lossy', 'crash', 'fail', 'fail'), async (order, steps) => {
        const it = await scene(workers, { order, once: { paths: ['v'], within: '30d' } })
        const alertIds = [`once-${++alerts}`, `once-${++alerts}`]
        const published: number[] = []
        for (const [i, step] of steps.entries()) {
          if (step.kind === 'change') {
            published.push(...step.values)
            await it.publish(alertIds[i % 2]!, step.values)
          } else if (step.kind === 'work') {
            await it.work(step.by)
            if (it.to.mode === 'crash') await it.expireLease()
            if (it.to.mode === 'crash') it.to.mode = 'down'
          } else if (step.kind === 'fail') await it.fail()
          else it.to.mode = step.kind
        }
        it.to.mode = 'up'
        for (let round = 0; round < 5 && (await it.pending()) > 0; round++) await it.work(round % 2)
        const sent = [...it.to.accepted.values()].flatMap(({ indicators }) =>
          indicators!.map(({ value }) => Number(value)),
        )
        const expected = sorted(new Set(published))
        for (const texts of it.to.texts.values()) if (texts.size > 1) throw new Error('two contents')
        if (String(sorted(sent)) !== String(expected)) throw new Error(`${String(sorted(sent))} of ${String(expected)}`)
      }),
      { numRuns: 15, endOnFailure: true },
    )
  })

  await t.test('with once, a replay sends its values too, also while a later change waits', async (t) => {
    const it = await scene(workers, { once: { paths: ['v'], within: '30d' } })
    // The webhook did not exist, or was disabled, when this event came.
    const missed = await workers.publish(change('replayed', [1, 2]))
    await database.query('delete from undispatched where event_id = $1', [missed.id])
    await it.fail()
    const later = await it.publish('replayed', [3])
    const event = (await findEvent(database, missed.id))!
    await replayDeliveries(database, event, [it.webhook.id], new Date())
    await it.work()
    await it.work()
    t.equal(await it.pending(), 0)
    const sent = [...it.to.accepted.values()].flatMap(({ indicators }) => indicators!.map(({ value }) => Number(value)))
    t.same(sorted(sent), [1, 2, 3])
    t.ok(it.to.accepted.has(later.id))
  })

  await t.test(
    'a retry by hand of a coalesced change sends it alone, and does not change the body of its carrier',
    async (t) => {
      const it = await scene(workers)
      await it.fail()
      const [a, b] = [await it.publish('hand', [1]), await it.publish('hand', [2])]
      it.to.mode = 'lossy'
      await it.work()
      const [folded] = await workers.deliveriesOf(a.id)
      t.equal(folded!.status, 'folded')
      t.equal(await restartDelivery(database, folded!.id, new Date()), it.webhook.id)
      it.to.mode = 'up'
      await it.work()
      await it.work()
      t.equal(await it.pending(), 0)
      t.same(sorted([...it.to.accepted.values()].flatMap((body) => valuesOf(body.context_diff))), [1, 1, 2])
      t.equal(it.to.texts.get(b.id)!.size, 1)
    },
  )

  await t.test('retention keeps a coalesced change while its carrier is pending', async (t) => {
    const it = await scene(workers)
    await it.fail()
    const events = [await it.publish('kept', [1]), await it.publish('kept', [2])]
    it.to.mode = 'down'
    await it.work()
    const all = { before: new Date(Date.now() + 86_400_000), after: { at: new Date(0), id: '' }, limit: 100 }
    t.match(await deleteOldEvents(database, all), { deleted: 0 })
    it.to.mode = 'up'
    await it.work()
    t.match(it.to.accepted.get(events[1]!.id)!.relay, { changes: 2 })
    t.match(await deleteOldEvents(database, all), { deleted: 2 })
    await deleteWebhook(database, it.webhook.id)
  })
})
