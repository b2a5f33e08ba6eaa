import t, { type Test } from 'tap'
import { createAccept, type Accepted } from '../../../src/core/event/accept.js'
import { createAcceptNamed } from '../../../src/core/event/accept-named.js'
import { findEvent } from '../../../src/core/event/event-store.js'
import { loadContent } from '../../../src/core/delivery/content.js'
import { parseJson, stringifyJson, type Json, type JsonObject } from '../../../src/core/platform/json.js'
import type { EvaluatorBounds } from '../../../src/core/platform/jsonata.js'
import { deleteSource, updateSource } from '../../../src/core/source/own-source-store.js'
import { createOwnSources, type OwnSources } from '../../../src/core/source/own-sources.js'
import type { OwnSource } from '../../../src/core/source/own-source.js'
import { DEFAULT_SOURCES } from '../../../src/core/source/settings.js'
import { fixtureMessage, FINDINGS_TOPIC, sendTo } from '../../helpers/findings.js'
import { ownSource, readSources } from '../../helpers/own-sources.js'
import { until } from '../../helpers/until.js'
import { createTestWorkers, log } from '../../helpers/workers.js'

interface Body {
  updated_alert: JsonObject & { context: JsonObject }
  context_diff: JsonObject
  message: Json
  relay: JsonObject
}

const MAPPING = `{
  "id": incident.id, "title": incident.name, "severity": incident.level,
  "state": incident.open ? "active" : "resolved", "context": { "source.ip": incident.ips }
}`
const incident = (fields: JsonObject = {}) => ({
  product: 'acme',
  incident: { id: 7, name: 'Odd login', level: 'high', open: true, ips: ['203.0.113.9'], ...fields },
})

/** An intake that knows these sources. */
async function intake(t: Test, sources: readonly Partial<OwnSource>[], bounds?: Partial<EvaluatorBounds>) {
  const workers = await createTestWorkers(t)
  const { database, queues } = workers
  const own = await readSources(t, database, sources, bounds)
  const acceptBy = (ownSources: Pick<OwnSources, 'read'>, disabled: string[] = []) =>
    createAccept({ database, queues, ownSources, sources: { ...DEFAULT_SOURCES, disabled: new Set(disabled) } })
  const accept = acceptBy(own)
  const bodyOf = async ({ event }: Pick<Accepted, 'event'>): Promise<Body> => {
    const { body } = await loadContent(database, (await findEvent(database, event.id))!)
    return parseJson(stringifyJson(body)) as unknown as Body
  }
  return { ...workers, own, acceptBy, accept, bodyOf, send: (message: Json) => sendTo(accept, message) }
}

t.test('messages of an own source are an alert with a memory', async (t) => {
  const { send, bodyOf } = await intake(t, [{ mapping: MAPPING }])
  const first = await bodyOf(await send(incident()))
  t.match(first, {
    updated_alert: { id: 'acme|7', title: 'Odd login', severity: 'high' },
    context_diff: { source: { ip: ['203.0.113.9'] }, related: { ip: ['203.0.113.9'] } },
    relay: { type: 'alert.created', source: 'acme', state: 'active', sequence: 1, new_values: 2 },
  })
  t.same(first.message, incident(), 'the message is there as a whole')
  const second = await bodyOf(await send(incident({ ips: ['203.0.113.9', '203.0.113.10'] })))
  t.match(second.relay, { type: 'alert.updated', sequence: 2, new_values: 2 })
  t.same(second.context_diff, { related: { ip: ['203.0.113.10'] }, source: { ip: ['203.0.113.10'] } })
  t.match((await bodyOf(await send(incident({ open: false })))).relay, { type: 'alert.resolved', state: 'resolved' })
  t.match((await bodyOf(await send(incident()))).relay, { type: 'alert.reopened', source: 'acme' })
})

t.test('a list is an alert each, also of a text; a long message is stored once', async (t) => {
  const { send, bodyOf, database } = await intake(t, [
    { filter: {}, mapping: '$type($) = "string" ? $split(",").{ "id": $ } : incidents.{ "id": id }' },
  ])
  const text = await send('one,two')
  t.equal(text.eventIds.length, 2)
  t.match(await bodyOf(text), { updated_alert: { id: 'acme|one' }, message: 'one,two' })
  const long = { incidents: [1, 2, 3].map((id) => ({ id, log: 'x'.repeat(100_000) })) }
  const { eventIds } = await send(long)
  const { rows } = await database.query<{ length: number }>(
    'select length(payload) from events where id = any($1) order by part',
    [eventIds],
  )
  const [whole, ...parts] = rows.map(({ length }) => length)
  t.equal(whole, JSON.stringify(long).length)
  t.same(
    parts,
    ['{"id":2}', '{"id":3}'].map(({ length }) => length),
    'of the others what they were read as',
  )
})

t.test('a request repeated with its Idempotency-Key is a duplicate, however many changes it held', async (t) => {
  const { accept, database } = await intake(t, [{ filter: {}, mapping: '$split(incidents, ",").{ "id": $ }' }])
  const named = createAcceptNamed({ accept, database, sources: DEFAULT_SOURCES })
  const key = { caller: 'key', route: 'POST /v1/messages', key: 'once' }
  const first = await named('{ "incidents": "one,two" }', key)
  t.equal(first.eventIds.length, 2)
  const again = await named('{"incidents":"one,two"}', key)
  t.match(again, { result: 'duplicate', eventIds: first.eventIds })
  await t.rejects(named('{"incidents":"one,three"}', key), { code: 'idempotency_mismatch' })
})

t.test('the first source in the order of names that has a result wins', async (t) => {
  const own = (name: string, fields: Partial<OwnSource>) => ({
    name,
    filter: {},
    mapping: `{ "id": "${name}" }`,
    ...fields,
  })
  const {
    send,
    acceptBy,
    own: sources,
  } = await intake(t, [
    own('e-last', {}),
    own('d-wins', { topics: ['arn:aws:sns:*:*:alerts'] }),
    own('c-has-no-result', { mapping: 'nothing' }),
    own('c2-empty', { mapping: '[]' }),
    own('b-other-topic', { topics: ['arn:aws:sns:*:*:others'] }),
    own('a-other-filter', { filter: { product: ['other'] } }),
    own('a-off', { enabled: false }),
  ])
  t.equal((await send(incident())).event.source, 'd-wins')
  const direct = await sendTo(acceptBy(sources), incident(), { topicArn: null })
  t.equal(direct.event.source, 'e-last', 'a message of no topic is of none of theirs')
})

t.test('a mapping has long numbers as strings, and the time of the message', async (t) => {
  const { accept, bodyOf } = await intake(t, [
    { mapping: '{ "id": n, "context": { "n": $type(n), "m": m }, "updated_at": $now() }' },
  ])
  const message = '{"product": "acme", "n": 12345678901234567890, "m": 5}'
  const body = await bodyOf(await sendTo(accept, message, { sentAt: new Date('2026-01-01T00:00:00Z') }))
  t.match(body.updated_alert, {
    id: 'acme|12345678901234567890',
    update_time: '2026-01-01T00:00:00.000Z',
    context: { n: ['string'], m: [5] },
  })
})

t.test('a built-in source comes before own ones, unless it is off', async (t) => {
  const { own, acceptBy } = await intake(t, [{ filter: {}, mapping: '{ "id": detail.id, "title": "mine" }' }])
  const message = await fixtureMessage('guardduty-new')
  t.match((await sendTo(acceptBy(own, ['guardduty']), message)).event, { source: 'acme', title: 'mine' })
  t.match((await sendTo(acceptBy(own), message)).event, { source: 'guardduty', type: 'alert.created' })
  const again = await sendTo(acceptBy(own, ['guardduty']), message)
  t.equal(again.result, 'duplicate', 'an EventBridge event is known by its id here too')
})

t.test('a mapping that fails leaves a notification that says why, and nothing of the message in it', async (t) => {
  const { send, bodyOf } = await intake(t, [
    { filter: { of: ['shape'] }, name: 'shape', mapping: '{ "id": 1, "state": "open" }' },
    { filter: { of: ['error'] }, name: 'throws', mapping: '{ "id": $number(secret) }' },
    { filter: { of: ['nul'] }, name: 'nul', mapping: '$error(text)' },
    { filter: {}, name: 'z-next', mapping: '{ "id": 1 }' },
  ])
  const cases: [string, string][] = [
    ['shape', 'state must be active or resolved'],
    ['error', 'Unable to cast value to a number: (a value) (at character 16)'],
    ['nul', 'a\ufffdb (at character 7)'],
  ]
  for (const [of, why] of cases) {
    const name = of === 'error' ? 'throws' : of
    const accepted = await send({ of, secret: 'hush', text: 'a\u0000b' })
    const detail = `the mapping of the source ${name} failed: ${why}`
    t.match(accepted, { result: 'stored', unread: { reason: 'source', detail } })
    t.match((await bodyOf(accepted)).relay, {
      ...{ type: 'sns.notification', source: name, unread: `No alert change: ${detail}.` },
    })
  }
})

t.test('a hostile mapping is stopped, and delays no other for long', async (t) => {
  const hostile = {
    endless: '($f := function($x){ $f($x) }; $f(1))',
    huge: '[1..10000000]',
    pattern: '$match("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", /^(a+)+$/)',
    large: '{ "id": $pad("", 2000000) }',
    deep: '($f := function($n){ $n = 0 ? 1 : {"a": $f($n - 1)} }; {"id": 1, "context": $f(150)})',
    code: '{ "id": "".constructor.constructor("return 1")() }',
  }
  const sources = Object.entries(hostile).map(([name, mapping]) => ({ name, filter: { of: [name] }, mapping }))
  const bounds = { timeoutMs: 200 }
  const { send } = await intake(t, [...sources, { name: 'z-good', filter: {}, mapping: '{ "id": of }' }], bounds)
  for (const name of Object.keys(hostile)) {
    const { result, unread } = await send({ of: name })
    t.match({ result, unread }, { result: 'stored', unread: { reason: 'source', detail: new RegExp(name) } }, name)
  }
  const again = await send({ of: 'endless' })
  t.match(again.unread, { reason: 'source', detail: /not run again for a while/ })
  const proto = await send(parseJson('{"of": "p", "__proto__": {"polluted": 1}, "constructor": {"prototype": {}}}'))
  t.equal(proto.event.alertId, 'z-good|p')
  t.notOk('polluted' in {})
})

t.test('a mapping that cannot be evaluated for a reason of ours leaves the message to be sent again', async (t) => {
  const { send, own, acceptBy, database } = await intake(t, [{ mapping: MAPPING }], { maxWaiting: 1, timeoutMs: 5000 })
  const [first, second] = await Promise.allSettled([send(incident()), send(incident({ id: 8 }))])
  t.match(first, { status: 'fulfilled', value: { event: { type: 'alert.created' } } })
  t.match(second, { status: 'rejected', reason: { code: 'undecided', message: /too many mappings wait/ } })
  own.close()
  await t.rejects(sendTo(acceptBy(own), incident({ id: 9 })), { code: 'undecided', message: /shutting down/ })
  const { rows } = await database.query<{ count: bigint }>('select count(*) as count from events')
  t.equal(Number(rows[0]!.count), 1)
})

t.test('a message that no own source matches waits for nothing', async (t) => {
  const { own } = await intake(t, [{ mapping: MAPPING }])
  const origin = { topicArn: FINDINGS_TOPIC, sentAt: new Date() }
  t.equal(own.read({ product: 'other' }, origin), undefined)
  t.equal(own.read('acme', origin), undefined)
})

t.test('every process knows a change of sources', async (t) => {
  const { database, own: first } = await intake(t, [])
  const second = createOwnSources({ database })
  t.teardown(() => second.close())
  await second.refresh()
  second.watch(log)
  const source = ownSource()
  const knows = ({ read }: OwnSources) => {
    const reading = read({ product: 'acme', id: 1 }, { topicArn: null, sentAt: new Date() })
    return reading === undefined ? false : reading.then(() => true)
  }
  const seen = async (known: boolean) =>
    void (await until(
      async () => knows(second),
      (now) => now === known,
    ))
  await readSources(t, database, [source])
  await seen(true)
  await updateSource(database, { ...source, enabled: false })
  await seen(false)
  await updateSource(database, source)
  await seen(true)
  await deleteSource(database, source.id)
  await seen(false)
  await first.refresh()
  t.equal(knows(first), false)
})
