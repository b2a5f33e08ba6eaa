import { pino } from 'pino'
import t from 'tap'
import { SAMPLE_CHANGE } from '../../src/core/event/sample.js'
import { EXAMPLE_SOURCE, MAX_SOURCES, type OwnSource } from '../../src/core/source/own-source.js'
import { FULL_KEY, openTestApi } from '../helpers/api.js'
import { createTestApp, TEST_KEY } from '../helpers/app.js'
import { fixtureMessage } from '../helpers/findings.js'
import { createReceiver } from '../helpers/receiver.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'

const MESSAGE = { product: 'acme', incident: { id: 7, name: 'Odd login', level: 'high', ips: ['203.0.113.9'] } }

interface Problem {
  detail: string
  errors: { path: string; message: string }[]
}

t.test('a source is made, shown, listed, changed and deleted, and each is audited', async (t) => {
  const { call, entries } = await openTestApi(t)
  const made = await call(FULL_KEY, 'POST', '/v1/sources', EXAMPLE_SOURCE)
  t.equal(made.statusCode, 201)
  const source = made.json<OwnSource>()
  t.match(source, { ...EXAMPLE_SOURCE, id: /^src_/, description: '', topics: [], enabled: true })
  const path = `/v1/sources/${source.id}`
  t.equal(made.headers.location, path)
  t.same((await call(FULL_KEY, 'GET', path)).json(), source)
  t.same((await call(FULL_KEY, 'GET', '/v1/sources?name=acme')).json(), { data: [source], next_cursor: null })
  const changed = await call(FULL_KEY, 'PATCH', path, { enabled: false, filter: {} })
  t.match(changed.json(), { ...source, enabled: false, filter: {}, updated_at: String })
  t.equal((await call(FULL_KEY, 'DELETE', path)).statusCode, 204)
  for (const method of ['GET', 'DELETE'] as const) t.equal((await call(FULL_KEY, method, path)).statusCode, 404)
  t.match(await entries(), [
    { action: 'source.deleted', target: source.id, changes: { name: { before: 'acme' } } },
    { action: 'source.updated', changes: { enabled: { before: true, after: false }, filter: { after: {} } } },
    { action: 'source.created', changes: { name: { after: 'acme' }, mapping: { after: EXAMPLE_SOURCE.mapping } } },
  ])
})

t.test('whoever may read may look, whoever may write may change', async (t) => {
  const { call, makeKey } = await openTestApi(t)
  const [reader, writer] = [await makeKey({ scope: 'read' }), await makeKey({ scope: 'write' })]
  t.equal((await call(reader.key, 'GET', '/v1/sources')).statusCode, 200)
  t.equal((await call(reader.key, 'POST', '/v1/sources', EXAMPLE_SOURCE)).statusCode, 403)
  t.equal((await call(writer.key, 'POST', '/v1/sources', EXAMPLE_SOURCE)).statusCode, 201)
})

t.test('what is wrong with a source is named', async (t) => {
  const { call } = await openTestApi(t)
  const problem = async (fields: object) => {
    const answer = await call(FULL_KEY, 'POST', '/v1/sources', { ...EXAMPLE_SOURCE, ...fields })
    t.equal(answer.statusCode, 400)
    return answer.json<Problem>().errors
  }
  t.match(await problem({ name: 'falco', topics: ['arn:aws:sns:x:1:t'], filter: { a: 1 }, mapping: '{ "id": ' }), [
    { path: '/name', message: /^is the name of a built-in source/ },
    { path: '/topics/0', message: /no partition and region/ },
    { path: '/filter/a', message: /must be an object or a list/ },
    { path: '/mapping', message: /^is no JSONata: .* \(at character 8\)$/ },
  ])
  t.match(await problem({ name: 'matano' }), [{ path: '/name' }])
  t.match(await problem({ name: 'a|b' }), [{ path: '/name', message: /^must be 2 to 100 letters/ }])
  t.match(await problem({ mapping: '$'.padEnd(16_385) }), [{ path: '/mapping', message: /16384/ }])
  t.match(await problem({ filter: undefined }), [{ path: '/filter', message: 'is required' }])
})

t.test('a name is taken once, and there are at most 100', async (t) => {
  const { call } = await openTestApi(t)
  const make = (name: string) => call(FULL_KEY, 'POST', '/v1/sources', { ...EXAMPLE_SOURCE, name })
  const all = await Promise.all(Array.from({ length: MAX_SOURCES + 1 }, (_, n) => make(`source ${n}`)))
  t.equal(all.filter(({ statusCode }) => statusCode === 201).length, MAX_SOURCES, 'also of many at once')
  const refused = all.find(({ statusCode }) => statusCode === 409)
  t.match(refused?.json<Problem>().detail, /100 sources, the most .* delete one first/)
  const [first, second] = all.map((answer) => answer.json<OwnSource>())
  await call(FULL_KEY, 'DELETE', `/v1/sources/${first!.id}`)
  const taken = await make(second!.name)
  t.equal(taken.statusCode, 409)
  t.match(taken.json<Problem>().errors, [{ path: '/name', message: 'is the name of another source' }])
  const renamed = await call(FULL_KEY, 'PATCH', `/v1/sources/${second!.id}`, { name: 'source 5' })
  t.equal(renamed.statusCode, 409)
})

t.test('a test says what would come of a message, and stores nothing', async (t) => {
  const { call, database } = await openTestApi(t)
  const test = async (body: object) => (await call(FULL_KEY, 'POST', '/v1/sources/test', body)).json<object>()
  const source = EXAMPLE_SOURCE
  t.same(await test({ source, message: MESSAGE }), {
    ...{ matches: true, failed: [], error: null },
    changes: [
      {
        state: 'active',
        updated_alert: { id: 'acme|7', title: 'Odd login', severity: 'high' },
        incoming_rule_matches_context: { related: { ip: ['203.0.113.9'] }, source: { ip: ['203.0.113.9'] } },
      },
    ],
  })
  t.match(await test({ source, message: JSON.stringify(MESSAGE) }), { matches: true, changes: [{}] }, 'as SNS has it')
  t.same(await test({ source, message: { product: 'other' } }), {
    ...{ matches: false, changes: [], error: null },
    failed: [{ path: '/product', reason: '"other"; wanted: ["acme"]' }],
  })
  t.match(await test({ source: { ...source, mapping: 'nothing' }, message: MESSAGE }), {
    ...{ matches: true, changes: [], error: null },
  })
  t.match(await test({ source: { ...source, mapping: '{ "id": 1, "url": 5 }' }, message: MESSAGE }), {
    ...{ matches: true, changes: [], error: 'the mapping of the source acme failed: url must be an http or https URL' },
  })
  const endless = { ...source, mapping: '($f := function($x){ $f($x) }; $f(1))' }
  t.match(await test({ source: endless, message: MESSAGE }), { error: /timeout|stopped/ })
  t.match(await test({ source, message: await fixtureMessage('guardduty-new') }), {
    ...{ matches: false, error: /^guardduty reads this message before .*SOURCES_DISABLED=guardduty/ },
  })
  t.match(await test({ source, message: SAMPLE_CHANGE }), {
    matches: false,
    error: /^matano reads this message before/,
  })
  t.match(await test({ source: { ...source, filter: {} }, message: [MESSAGE] }), { matches: true })

  t.match(await test({ message: {} }), { status: 400, errors: [{ path: '/source' }] })
  t.match(await test({ source: { ...source, mapping: '(' }, message: {} }), { errors: [{ path: '/source/mapping' }] })
  const { id } = (await call(FULL_KEY, 'POST', '/v1/sources', source)).json<OwnSource>()
  t.match(await test({ source_id: id, message: MESSAGE }), { changes: [{ updated_alert: { id: 'acme|7' } }] })
  t.match(await test({ source_id: id.replace(/.{6}$/, '000000'), message: MESSAGE }), { status: 404 })
  const { rows } = await database.query<{ count: bigint }>('select count(*) as count from events')
  t.equal(Number(rows[0]!.count), 0)
})

t.test('a message reads so from the answer on; a mapping that fails is warned of and counted', async (t) => {
  const publisher = await createSnsPublisher()
  await publisher.serve()
  const receiver = await createReceiver()
  t.teardown(() => Promise.all([publisher.close(), receiver.close()]))
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as object as never) })
  const app = await createTestApp(t, { SNS_TOPICS: TEST_TOPIC, SNS_EMULATOR: publisher.origin }, log)
  app.startWorkers()
  await app.api('POST', '/v1/webhooks', { url: receiver.url })
  const send = () => app.sns(publisher.notification({ message: JSON.stringify(MESSAGE) }))
  const { id } = (await app.api('POST', '/v1/sources', EXAMPLE_SOURCE)).json<OwnSource>()
  t.match((await send()).json(), { result: 'stored' })
  const [change] = await receiver.waitFor(1)
  t.match(change!.json, { updated_alert: { id: 'acme|7' }, relay: { type: 'alert.created', source: 'acme' } })

  await app.api('PATCH', `/v1/sources/${id}`, { mapping: '{ "id": 1, "severity": "urgent" }' })
  t.equal((await send()).statusCode, 200)
  const [, notification] = await receiver.waitFor(2)
  const why = /the mapping of the source acme failed: severity must be one of info, /
  t.match(notification!.json, { message: MESSAGE, relay: { type: 'sns.notification', unread: why } })
  const warnings = lines.filter(({ msg, level }) => msg === 'sns message' && level === 40)
  t.match(warnings, [{ source: 'acme', unread: { reason: 'source', detail: why } }])
  const metrics = await app.http.inject({ url: '/metrics', headers: { authorization: `Bearer ${TEST_KEY}` } })
  t.match(metrics.body, /^alert_relay_unread_messages_total\{reason="source"\} 1$/m)

  await app.api('DELETE', `/v1/sources/${id}`)
  await send()
  const [, , plain] = await receiver.waitFor(3)
  t.match(plain!.json, { message: MESSAGE, relay: { type: 'sns.notification' } })
  t.notOk('unread' in (plain!.json as { relay: object }).relay)
})
