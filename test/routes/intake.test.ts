import { once } from 'node:events'
import { connect } from 'node:net'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { openTestApi } from '../helpers/api.js'
import { createTestApp, TEST_KEY } from '../helpers/app.js'
import { headOf, listen } from '../helpers/raw-request.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'

async function intakeWith(t: Test, settings: Record<string, string> = {}) {
  const publisher = await createSnsPublisher()
  await publisher.serve()
  t.teardown(() => publisher.close())
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as object as never) })
  const app = await createTestApp(
    t,
    { SNS_TOPICS: TEST_TOPIC, SNS_EMULATOR: publisher.origin, INTAKE_PORT: '0', ...settings },
    log,
  )
  return { publisher, app, intake: app.intake!, lines }
}

t.test('a listener of its own has /sns and /healthz and nothing else, and the other one has no /sns', async (t) => {
  const { publisher, app, intake } = await intakeWith(t)
  const payload = JSON.stringify(publisher.notification({ message: 'hello' }))
  t.match((await intake.inject({ method: 'POST', url: '/sns', payload })).json(), { result: 'stored' })
  t.equal((await intake.inject({ url: '/healthz' })).statusCode, 200)
  const headers = { authorization: `Bearer ${TEST_KEY}` }
  for (const url of ['/readyz', '/metrics', '/docs', '/openapi.json', '/v1/webhooks', '/v1/events']) {
    t.equal((await intake.inject({ url, headers })).statusCode, 404, url)
    t.not((await app.http.inject({ url, headers })).statusCode, 404, url)
  }
  t.equal((await app.http.inject({ method: 'POST', url: '/sns', payload })).statusCode, 404)
})

t.test('/metrics needs a key of scope read, unless METRICS_PUBLIC', async (t) => {
  const { app } = await intakeWith(t)
  t.match((await app.http.inject({ url: '/metrics' })).json(), { status: 401 })
  t.match(await app.api('GET', '/metrics'), { statusCode: 200, body: /^alert_relay_/m })
  const { app: open } = await intakeWith(t, { METRICS_PUBLIC: 'true' })
  t.equal((await open.http.inject({ url: '/metrics' })).statusCode, 200)
})

t.test('/readyz says which part is not ready; why is in the log alone', async (t) => {
  const { inject, lines } = await openTestApi(t)
  const answer = await inject({ url: '/readyz' })
  t.equal(answer.statusCode, 503)
  t.same(answer.json(), { status: 'not_ready', database: 'ok', queue: 'failed' })
  const line = JSON.parse(lines.find((text) => text.includes('"not ready"'))!) as object
  t.match(line, { part: 'queue', detail: 'connect ECONNREFUSED 10.1.2.3:6379' })
})

t.test('a message of a topic that SNS_TOPICS leaves out is refused before its body is read', async (t) => {
  const { intake, lines } = await intakeWith(t, { TRUST_PROXY: '127.0.0.1' })
  const port = await listen(intake)
  const socket = connect(port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  const answer = text(socket)
  const head = {
    ...{ host: 'relay', 'content-length': '2000000', 'x-forwarded-for': '192.0.2.7' },
    'x-amz-sns-topic-arn': `${TEST_TOPIC}-other`,
    'x-amz-sns-message-id': 'm'.repeat(5000),
  }
  socket.write(headOf(head))
  t.match(await answer, /^HTTP\/1.1 403 [\s\S]*connection: close[\s\S]*topic_not_allowed/)
  const [line] = lines.filter(({ msg }) => msg === 'sns message')
  t.match(line, { result: 'refused', code: 'topic_not_allowed', client: '192.0.2.7', topic_arn: /-other$/ })
  t.equal(String(line!.message_id).length, 400, 'what a stranger wrote is cut')
})

async function text(socket: ReturnType<typeof connect>): Promise<string> {
  let received = ''
  socket.on('data', (chunk) => (received += String(chunk)))
  socket.on('error', () => {})
  await once(socket, 'close')
  return received
}
