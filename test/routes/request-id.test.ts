import { connect } from 'node:net'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { FULL_KEY, openTestApi } from '../helpers/api.js'
import { createTestApp, TEST_KEY } from '../helpers/app.js'
import { TEST_TOPIC } from '../helpers/sns-publisher.js'

const MADE = /^req_[0-9a-f]{32}$/

t.test('every response has a request id: that of the request if it is valid, else a new one', async (t) => {
  const { inject } = await openTestApi(t)
  const ask = async (url: string, given?: string, method: 'GET' | 'POST' | 'PUT' = 'GET') => {
    const headers = { authorization: `Bearer ${FULL_KEY}`, ...(given === undefined ? {} : { 'x-request-id': given }) }
    const { headers: answered, statusCode } = await inject({ method, url, headers })
    return { id: answered['x-request-id'], statusCode }
  }
  for (const [url, status, method] of [
    ['/v1/webhooks', 200, 'GET'],
    ['/v1/webhooks?x=1', 400, 'GET'],
    ['/v1/nothing', 404, 'GET'],
    ['/v1/webhooks', 405, 'PUT'],
    ['/v1/webhooks/%E0%A4%A', 400, 'GET'],
    [`/v1/alerts/${'a'.repeat(601)}`, 414, 'GET'],
    ['/sns', 405, 'PUT'],
    ['/healthz', 200, 'GET'],
    ['/docs/', 200, 'GET'],
    ['/docs/static/nothing', 404, 'GET'],
    ['/openapi.json', 200, 'GET'],
  ] as const) {
    t.match(await ask(url, undefined, method), { statusCode: status, id: MADE }, url)
    t.match(
      await ask(url, 'Root=1-67891233-abcdef/4', method),
      { statusCode: status, id: 'Root=1-67891233-abcdef/4' },
      url,
    )
  }
  for (const unusable of ['', 'a b', 'a"b', 'é', 'a,b', 'x'.repeat(129)]) {
    t.match(await ask('/healthz', unusable), { id: MADE }, unusable)
  }
  const unknown = await inject({ url: '/v1/webhooks', headers: { 'x-request-id': 'mine' } })
  t.match(unknown, { statusCode: 401, headers: { 'x-request-id': 'mine' } })
})

t.test('every log line of a request has its id', async (t) => {
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })
  const app = await createTestApp(t, {}, log)
  const idsDuring = async (work: () => Promise<unknown>) => {
    lines.length = 0
    await work()
    return lines.map((line) => (JSON.parse(line) as { request_id?: string }).request_id)
  }
  const headers = { authorization: `Bearer ${TEST_KEY}`, 'x-request-id': 'mine' }
  t.same(await idsDuring(() => app.http.inject({ url: '/v1/webhooks', headers })), ['mine'])
  t.same(await idsDuring(() => app.sns('nonsense', { 'x-request-id': 'theirs' })), ['theirs', 'theirs'])
  await app.http.listen({ host: '127.0.0.1', port: 0 })
  lines.length = 0
  const answer = await exchange(t, app.http.server.address(), 'nonsense\r\n\r\n')
  t.match(
    lines.map((line) => JSON.parse(line) as object),
    [{ request_id: idOf(answer), status_code: 400 }],
  )
})

t.test('the confirmation of a topic is logged with the id of the request that caused it', async (t) => {
  const { call, database, lines } = await openTestApi(t)
  const url = `https://sns.us-east-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=${TEST_TOPIC}&Token=t`
  await database.query(
    `insert into topics (arn, status, subscribe_url, created_at, updated_at) values ($1, 'pending', $2, now(), now())`,
    [TEST_TOPIC, url],
  )
  const path = `/v1/topics/${encodeURIComponent(TEST_TOPIC)}/approve`
  const answer = await call(FULL_KEY, 'POST', path, undefined, { 'x-request-id': 'mine' })
  t.equal(answer.statusCode, 200, answer.body)
  t.match(
    lines.map((line) => JSON.parse(line) as object).find((line) => 'topic_arn' in line),
    { request_id: 'mine', msg: 'subscription confirmed' },
  )
})

t.test('an entry of the audit log has the id of its request', async (t) => {
  const { call, entries } = await openTestApi(t)
  const body = { url: 'https://example.com/' }
  await call(FULL_KEY, 'POST', '/v1/webhooks', body, { 'x-request-id': 'mine' })
  const { headers } = await call(FULL_KEY, 'POST', '/v1/webhooks', body)
  t.match(await entries(), [{ request_id: headers['x-request-id'] }, { request_id: 'mine' }])
})

t.test('errors that Node would answer itself are problem documents with an id', async (t) => {
  const { http } = await openTestApi(t)
  await http.listen({ host: '127.0.0.1', port: 0 })
  const ask = (text: string) => exchange(t, http.server.address(), text)
  for (const [text, status, code] of [
    ['nonsense\r\n\r\n', 400, 'invalid_request'],
    [`GET /healthz HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
    [`GET /${'x'.repeat(20_000)} HTTP/1.1\r\nhost: a\r\n\r\n`, 431, 'headers_too_large'],
    ['GET /healthz HTTP/1.1\r\nconnection: close\r\n\r\n', 400, 'invalid_request'],
    ['POST /sns HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n', 400, 'invalid_request'],
  ] as const) {
    const answer = await ask(text)
    const [head, body] = answer.split('\r\n\r\n')
    t.match(head, new RegExp(`^HTTP/1\\.1 ${status} `), answer)
    t.match(head, /^content-type: application\/problem\+json/im)
    t.match(idOf(answer), MADE)
    t.match(JSON.parse(body!), { type: `urn:alert-relay:problem:${code}`, status, detail: /./ })
  }
  const expecting = await ask('GET /healthz HTTP/1.1\r\nhost: a\r\nexpect: tea\r\nconnection: close\r\n\r\n')
  t.match(expecting, /^HTTP\/1\.1 200 /)
  t.match(idOf(expecting), MADE)
})

t.test('a stopping process answers requests on open connections with a 503 and Retry-After', async (t) => {
  const { http } = await openTestApi(t)
  await http.listen({ host: '127.0.0.1', port: 0 })
  const socket = connect((http.server.address() as { port: number }).port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  const answers = socket.setEncoding('latin1')[Symbol.asyncIterator]()
  socket.write('GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nPOST /nothing HTTP/1.1\r\nhost: a\r\n')
  t.match((await answers.next()).value, /^HTTP\/1\.1 200 /)
  const closed = http.close()
  socket.write('\r\n')
  const { value } = (await answers.next()) as { value: string }
  t.match(value, /^HTTP\/1\.1 503 [^]*connection: close[^]*problem:undecided/i)
  t.match(idOf(value), MADE)
  await closed
})

/** Reads the response of a server until it closes the connection. */
async function exchange(t: Test, address: unknown, text: string): Promise<string> {
  const socket = connect((address as { port: number }).port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  socket.write(text)
  let answer = ''
  for await (const chunk of socket.setEncoding('latin1')) answer += String(chunk)
  return answer
}

function idOf(answer: string): string | undefined {
  return /^x-request-id: (.*)$/im.exec(answer)?.[1]?.trim()
}
