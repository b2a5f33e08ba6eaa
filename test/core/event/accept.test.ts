import fc from 'fast-check'
import t, { type Test } from 'tap'
import { recallContext } from '../../../src/core/alert/alert-store.js'
import { contextKey, flattenContext, type ContextValue } from '../../../src/core/alert/context.js'
import { createAccept } from '../../../src/core/event/accept.js'
import { findEvent } from '../../../src/core/event/event-store.js'
import { SAMPLE_CHANGE } from '../../../src/core/event/sample.js'
import { openDatabase, type Database } from '../../../src/core/platform/database.js'
import { parseJson, stringifyJson, type JsonObject } from '../../../src/core/platform/json.js'
import type { Batch } from '../../../src/core/platform/queues.js'
import { formatEvent } from '../../../src/core/format/body.js'
import { loadContent } from '../../../src/core/delivery/content.js'
import { createTestDatabaseUrl, createTestDataDir, borrowTestDatabase } from '../../helpers/backends.js'

interface Body {
  updated_alert: JsonObject & { context: JsonObject }
  context_diff: JsonObject
  incoming_rule_matches_context: JsonObject
  relay: JsonObject
}

let serial = 0

/** An intake on a database of its own, with a queue that only records the batches. */
async function intake(t: Test) {
  const database = await borrowTestDatabase(t)
  const queued: string[] = []
  const queue = {
    down: false,
    addDispatches: async (batches: readonly Batch[]) => {
      if (queue.down) throw new Error('queue down')
      queued.push(...batches.map(({ batchId }) => batchId))
    },
  }
  const accept = createAccept({ database, queues: queue })
  const send = (message: string, messageId = `m-${++serial}`) =>
    accept({
      messageId,
      topicArn: 'arn:aws:sns:us-east-1:123456789012:alerts',
      subject: undefined,
      message,
      sentAt: new Date(),
    })
  return { database, queue, queued, send }
}

function change(
  id: string,
  context: JsonObject,
  extra: { alert?: JsonObject; incoming?: JsonObject; diff?: JsonObject } = {},
) {
  return stringifyJson({
    updated_alert: { id, title: 'T', severity: 'low', match_count: 1, update_count: 0, ...extra.alert, context },
    incoming_rule_matches_context: extra.incoming ?? context,
    context_diff: extra.diff ?? {},
  })
}

async function bodyOf(database: Database, eventId: string): Promise<Body> {
  const event = await findEvent(database, eventId)
  return parseJson(stringifyJson((await loadContent(database, event!)).body)) as unknown as Body
}

t.test('a value is new once per alert: A, B, A reports A once', async (t) => {
  const { database, send } = await intake(t)
  const diffs: string[] = []
  for (const value of ['A', 'B', 'A']) {
    const { event } = await send(change('alert-1', { user: { name: [value] } }))
    diffs.push(stringifyJson((await bodyOf(database, event.id)).context_diff))
  }
  t.same(diffs, ['{"user":{"name":["A"]}}', '{"user":{"name":["B"]}}', '{}'])
})

t.test('the delivered context is accumulated, and that of an earlier event does not change', async (t) => {
  const { database, send } = await intake(t)
  const first = await send(change('alert-1', { ip: ['1.1.1.1'] }))
  const second = await send(change('alert-1', { ip: ['2.2.2.2'] }, { alert: { match_count: 5, update_count: 1 } }))
  const third = await send(change('alert-1', { ip: ['1.1.1.1'] }, { alert: { match_count: 3, update_count: 1 } }))
  t.same(
    [first, second, third].map(({ event }) => [event.type, event.sequence]),
    [
      ['alert.created', 1n],
      ['alert.updated', 2n],
      ['alert.updated', 3n],
    ],
  )
  const bodies = await Promise.all([first, second, third].map(({ event }) => bodyOf(database, event.id)))
  t.same(
    bodies.map((body) => stringifyJson(body.updated_alert.context)),
    ['{"ip":["1.1.1.1"]}', '{"ip":["1.1.1.1","2.2.2.2"]}', '{"ip":["1.1.1.1","2.2.2.2"]}'],
  )
  t.same(
    bodies.map((body) => String(body.updated_alert.match_count)),
    ['1', '5', '5'],
    'counts only go up',
  )
})

t.test('the first change of an unknown alert is its creation, whatever its update_count', async (t) => {
  const { database, send } = await intake(t)
  const { event } = await send(change('alert-1', { a: ['x'] }, { alert: { update_count: 1 } }))
  t.equal(event.type, 'alert.created')
  t.same(stringifyJson((await bodyOf(database, event.id)).context_diff), '{"a":["x"]}')
})

t.test('booleans, floats, 64-bit integers and mixed types under one key are each new once', async (t) => {
  const { database, send } = await intake(t)
  const odd =
    '{"v":[true,"true",1,"1",0.10000000149011612,1678861273000000001,9007199254740993,9007199254740992,{"a":[1]}]}'
  const first = await send(change('alert-1', parseJson(odd) as JsonObject))
  const again = await send(change('alert-1', parseJson(odd) as JsonObject))
  t.equal(stringifyJson((await bodyOf(database, first.event.id)).context_diff), odd)
  t.equal(stringifyJson((await bodyOf(database, again.event.id)).context_diff), '{}')
})

t.test('the same (id, update_count) with another body is another change', async (t) => {
  const { database, send } = await intake(t)
  await send(change('alert-1', { a: ['x'] }))
  const { result, event } = await send(change('alert-1', { a: ['y'] }))
  t.equal(result, 'stored')
  t.equal(event.sequence, 2n)
  t.equal(stringifyJson((await bodyOf(database, event.id)).context_diff), '{"a":["y"]}')
})

t.test('the same MessageId 50 times at once is one event', async (t) => {
  const { database, queued, send } = await intake(t)
  const message = change('alert-1', { a: ['x'] })
  const results = await Promise.all(Array.from({ length: 50 }, () => send(message, 'same')))
  t.equal(results.filter(({ result }) => result === 'stored').length, 1)
  t.equal(new Set(results.map(({ event }) => event.id)).size, 1)
  t.equal(new Set(queued).size, 1)
  const { rows } = await database.query<{ sequence: bigint }>('select sequence from alerts')
  t.same(rows, [{ sequence: 1n }], 'the alert changed once')
})

t.test('concurrent changes of one alert get consecutive sequences, and no value is in two diffs', async (t) => {
  const { database, send } = await intake(t)
  const all = await Promise.all(
    Array.from({ length: 20 }, (_, i) => send(change('alert-1', { n: [i % 7, 'shared'], own: [`v${i}`] }))),
  )
  t.same(
    all.map(({ event }) => Number(event.sequence)).sort((a, b) => a - b),
    Array.from({ length: 20 }, (_, i) => i + 1),
  )
  const diffs = await Promise.all(
    all.map(async ({ event }) => flattenContext((await bodyOf(database, event.id)).context_diff)),
  )
  const keys = diffs.flat().map((value) => contextKey(value).toString('hex'))
  t.equal(keys.length, 7 + 1 + 20)
  t.equal(new Set(keys).size, keys.length)
})

t.test('a queue that is down fails the message, and its repeat is stored once', async (t) => {
  const { queue, queued, send } = await intake(t)
  queue.down = true
  await t.rejects(send(change('alert-1', { a: ['x'] }), 'm'), { message: 'queue down' })
  queue.down = false
  const { result, event } = await send(change('alert-1', { a: ['x'] }), 'm')
  t.equal(result, 'duplicate')
  t.same(queued, [event.id], 'it is queued by its repeat')
})

t.test('the sample payload and both positions of destination_to_alert_info are delivered unchanged', async (t) => {
  const { database, send } = await intake(t)
  const inside = await send(stringifyJson(SAMPLE_CHANGE))
  const body = await bodyOf(database, inside.event.id)
  t.same(body.updated_alert.destination_to_alert_info, SAMPLE_CHANGE.updated_alert.destination_to_alert_info)
  t.same(body.incoming_rule_matches_context, SAMPLE_CHANGE.incoming_rule_matches_context)
  t.same(body.relay.upstream_context_diff, SAMPLE_CHANGE.context_diff)
  const { destination_to_alert_info: info, ...alert } = SAMPLE_CHANGE.updated_alert
  const beside = await send(
    stringifyJson({ ...SAMPLE_CHANGE, updated_alert: { ...alert, id: 'other' }, destination_to_alert_info: info }),
  )
  t.equal(beside.event.type, 'alert.created')
  t.match(await bodyOf(database, beside.event.id), { destination_to_alert_info: info })
})

t.test('unknown fields, hostile keys and large integers are delivered unchanged', async (t) => {
  const { database, send } = await intake(t)
  const text =
    '{"updated_alert":{"id":"a","title":"bad\\u0000\\ud800 <b>","future":{"n":12345678901234567890},"match_count":9223372036854775807,' +
    '"context":{"__proto__":["p"],"event":{"start":[1678861273000000001]}}},"incoming_rule_matches_context":{},"extra":[1e400],"context_diff":{}}'
  const { event } = await send(text)
  const body = stringifyJson((await loadContent(database, (await findEvent(database, event.id))!)).body)
  for (const part of [
    '"future":{"n":12345678901234567890}',
    '"match_count":9223372036854775807',
    '"context":{"__proto__":["p"],"event":{"start":[1678861273000000001]}}',
    '"extra":[1e400]',
    '"title":"bad\\u0000\\ud800 <b>"',
  ]) {
    t.ok(body.includes(part), part)
  }
  t.equal((await findEvent(database, event.id))!.title, 'bad\ufffd\ufffd <b>', 'the listed title is storable')
})

t.test('a message that is no alert change is a notification', async (t) => {
  const { database, send } = await intake(t)
  const nested = '['.repeat(100_000)
  for (const [message, delivered] of [
    ['plain text', '"plain text"'],
    ['nul \u0000 inside', '"nul \\u0000 inside"'],
    ['12345678901234567890', '"12345678901234567890"'],
    [
      '{"detail-type":"GuardDuty Finding","n":12345678901234567890}',
      '{"detail-type":"GuardDuty Finding","n":12345678901234567890}',
    ],
    [
      '{"updated_alert":{"id":1.5},"incoming_rule_matches_context":{}}',
      '{"updated_alert":{"id":1.5},"incoming_rule_matches_context":{}}',
    ],
    ['[]', '[]'],
    [nested, JSON.stringify(nested)],
  ] as const) {
    const { event } = await send(message)
    t.equal(event.type, 'sns.notification')
    const body = stringifyJson(formatEvent((await findEvent(database, event.id))!, undefined).body)
    t.ok(body.startsWith(`{"message":${delivered},"subject":null,"relay":{`), message.slice(0, 40))
  }
})

t.test(
  'over any sequence of changes and repeats, the diffs add up to the context and no value is new twice',
  async (t) => {
    const { database, send } = await intake(t)
    const value = fc.oneof(fc.constantFrom('a', 'b', 'c', '1'), fc.constantFrom(1, 2, 1.5), fc.boolean())
    const context = fc.dictionary(
      fc.constantFrom('x', 'y', '__proto__', 'a.b', ''),
      fc.array(value, { maxLength: 3 }),
      { maxKeys: 3 },
    )
    const step = fc.record({ alert: fc.constantFrom('p', 'q'), context, incoming: context, repeat: fc.boolean() })
    let run = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 6 }), async (steps) => {
        run++
        const diffs = new Map<string, ContextValue[]>()
        const sent = new Map<string, ContextValue[]>()
        for (const { alert, context, incoming, repeat } of steps) {
          const id = `${alert}-${run}`
          const message = change(id, context, { incoming })
          const { event } = await send(message)
          if (repeat) t.equal((await send(message, event.messageId!)).result, 'duplicate')
          const memory = await recallContext(database, { alertId: id, sequence: event.sequence! })
          diffs.set(id, [...(diffs.get(id) ?? []), ...memory.diff])
          sent.set(id, [...(sent.get(id) ?? []), ...flattenContext(context), ...flattenContext(incoming)])
          t.same(memory.accumulated, diffs.get(id), 'the diffs, put together, are the accumulated context')
        }
        for (const [id, values] of diffs) {
          const keys = values.map((entry) => contextKey(entry).toString('hex'))
          t.equal(new Set(keys).size, keys.length, 'no value is in two diffs')
          t.same(
            new Set(keys),
            new Set(sent.get(id)!.map((entry) => contextKey(entry).toString('hex'))),
            'none is missing',
          )
        }
      }),
      { numRuns: 30 },
    )
  },
)

t.test('restarts and repeats between changes of two alerts do not change the diffs', async (t) => {
  const databaseUrl = await createTestDatabaseUrl(t)
  const dataDir = databaseUrl ? '' : await createTestDataDir(t)
  const open = () => openDatabase({ databaseUrl, dataDir })
  let database = await open()
  t.teardown(() => database.close())
  const step = fc.record({
    alert: fc.constantFrom('p', 'q'),
    values: fc.array(fc.oneof(fc.constantFrom('a', 'b', 'c'), fc.constantFrom(1, 2), fc.boolean()), { maxLength: 3 }),
    then: fc.constantFrom('go on', 'repeat', 'restart', 'restart and repeat'),
  })
  let run = 0
  /** The diffs of the alert's changes, as the steps of that alert alone would give them. */
  const expected = (steps: { alert: string; values: unknown[] }[], alert: string) => {
    const seen = new Set<unknown>()
    return steps
      .filter((one) => one.alert === alert)
      .map(({ values }) => [...new Set(values)].filter((value) => !seen.has(value) && seen.add(value)))
  }
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 8 }), async (steps) => {
      run++
      const diffs: Record<string, unknown[][]> = { p: [], q: [] }
      for (const [i, { alert, values, then }] of steps.entries()) {
        const message = change(`restart-${run}-${alert}`, { x: values })
        const send = () => {
          const accept = createAccept({ database, queues: { addDispatches: async () => {} } })
          return accept({
            messageId: `restart-${run}-${i}`,
            topicArn: null,
            subject: undefined,
            message,
            sentAt: new Date(),
          })
        }
        const { event } = await send()
        if (then.startsWith('restart')) {
          await database.close()
          database = await open()
        }
        if (then.endsWith('repeat')) t.equal((await send()).result, 'duplicate')
        const memory = await recallContext(database, { alertId: event.alertId!, sequence: event.sequence! })
        diffs[alert]!.push(memory.diff.map(({ value }) => value))
      }
      for (const alert of ['p', 'q']) t.same(diffs[alert], expected(steps, alert))
    }),
    { numRuns: 8 },
  )
})
