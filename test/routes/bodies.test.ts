/** Request bodies as bytes: UTF-8, byte order marks, gzip and br. */
import { request as httpRequest } from 'node:http'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import { createTestApp, TEST_KEY, type TestApp } from '../helpers/app.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'
import { until } from '../helpers/until.js'

const MIB = 1024 * 1024
const authorization = `Bearer ${TEST_KEY}`

async function setUp(t: Test) {
  const publisher = await createSnsPublisher()
  await publisher.serve()
  t.teardown(() => publisher.close())
  const app = await createTestApp(t, { SNS_TOPICS: TEST_TOPIC, SNS_EMULATOR: publisher.origin })
  const post = (url: string, payload: string | Buffer, own: Record<string, string> = {}) => {
    const headers = { 'content-type': 'application/json', ...(url === '/sns' ? {} : { authorization }), ...own }
    return until(
      () => app.http.inject({ method: 'POST', url, payload, headers }),
      // on a busy machine the relay may see pressure
      ({ headers: answered }) => answered['retry-after'] === undefined,
    )
  }
  return { publisher, app, post }
}

/** Routes of every kind: SNS, numbers as they are, lossless numbers, no body of their own. */
async function bodiesOf({
  publisher,
  app,
}: {
  publisher: Awaited<ReturnType<typeof createSnsPublisher>>
  app: TestApp
}) {
  const webhook = (await app.api('POST', '/v1/webhooks', { url: 'https://example.com/' })).json<{ id: string }>()
  return [
    ['/sns', () => JSON.stringify(publisher.notification({ message: 'Zoë' })), 200],
    ['/v1/webhooks', () => JSON.stringify({ url: 'https://example.com/', description: 'Zoë' }), 201],
    ['/v1/keys', () => JSON.stringify({ name: 'Zoë', scope: 'read' }), 201],
    ['/v1/rule-matches', () => JSON.stringify({ rule_matches: [{ rule: 'Zoë', context: { a: 1 } }] }), 202],
    ['/v1/filters/test', () => JSON.stringify({ filter: { a: ['Zoë'] }, event: { a: 'Zoë' } }), 200],
    [`/v1/webhooks/${webhook.id}/preview`, () => JSON.stringify({}), 200],
  ] as [string, () => string, number][]
}

t.test('a body that is not UTF-8 is refused on every route, and a byte order mark is passed over', async (t) => {
  const { publisher, app, post } = await setUp(t)
  const bodies = await bodiesOf({ publisher, app })
  for (const [url, body, status] of bodies) {
    const latin1 = await post(url, Buffer.from(body().replace('{', '{"é":1,'), 'latin1'))
    t.equal(latin1.statusCode, 400, `${url}: Latin-1`)
    t.match(latin1.json(), { detail: /UTF-8/ }, url)
    const utf16 = await post(url, Buffer.from(`\ufeff${body()}`, 'utf16le'))
    t.equal(utf16.statusCode, 400, `${url}: UTF-16`)
    const marked = await post(url, Buffer.from(`\ufeff${body()}`))
    t.equal(marked.statusCode, status, `${url}: a byte order mark ${marked.body}`)
  }
  const test = bodies.at(-1)![0].replace('preview', 'test')
  for (const type of ['application/json', 'text/plain']) {
    const answer = await post(test, Buffer.of(0xe9), { 'content-type': type })
    t.equal(answer.statusCode, 400, `a body that nobody reads, as ${type}`)
  }
  const names = (await app.api('GET', '/v1/keys')).json<{ data: { name: string }[] }>().data
  t.ok(names.some(({ name }) => name === 'Zoë'))
})

t.test('gzip and br are inflated on every route', async (t) => {
  const { publisher, app, post } = await setUp(t)
  for (const [url, body, status] of await bodiesOf({ publisher, app })) {
    for (const [encoding, encode] of [
      ['gzip', gzipSync],
      ['X-GZIP', gzipSync],
      ['br', brotliCompressSync],
      ['identity', Buffer.from],
    ] as [string, (text: string) => Buffer][]) {
      const answer = await post(url, encode(body()), { 'content-encoding': encoding })
      t.equal(answer.statusCode, status, `${url} ${encoding}: ${answer.body}`)
    }
  }
  const { data } = (await app.api('GET', '/v1/alerts')).json<{ data: { title: string }[] }>()
  t.ok(data.every(({ title }) => title === 'Zoë'))
})

t.test('an encoding that is not taken is 415 and names those that are; a wrong one is 400', async (t) => {
  const { publisher, app, post } = await setUp(t)
  for (const [url, body] of await bodiesOf({ publisher, app })) {
    for (const encoding of ['deflate', 'zstd', 'gzip, br', 'constructor']) {
      const answer = await post(url, body(), { 'content-encoding': encoding })
      t.equal(answer.statusCode, 415, `${url} ${encoding}`)
      t.equal(answer.headers['accept-encoding'], 'gzip, br')
      t.match(answer.json(), { detail: /Content-Encoding is not one of gzip, br/ })
    }
    const whole = gzipSync(body())
    for (const [name, bytes, encoding] of [
      ['plain text', Buffer.from(body()), 'gzip'],
      ['the other one', whole, 'br'],
      ['half of it', whole.subarray(0, whole.length / 2), 'gzip'],
      ['Latin-1', gzipSync(Buffer.from(body().replace('{', '{"é":1,'), 'latin1')), 'gzip'],
    ] as [string, Buffer, string][]) {
      const answer = await post(url, bytes, { 'content-encoding': encoding })
      t.equal(answer.statusCode, 400, `${url} ${name}`)
      t.match(answer.headers['content-type'], /^application\/problem\+json/)
    }
  }
  const bodiless = { method: 'GET', url: '/v1/keys', headers: { authorization, 'content-encoding': 'zstd' } } as const
  t.equal((await app.http.inject(bodiless)).statusCode, 200, 'without a body the header says nothing')
})

t.test('a bomb is refused with 413 and not inflated', async (t) => {
  // made before the relay, which would see the time that it takes as pressure
  const bombs = [
    ['gzip', gzipSync(Buffer.alloc(128 * MIB, 0x20))],
    ['br', brotliCompressSync(Buffer.alloc(128 * MIB, 0x20), { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
  ] as const
  const { app, post } = await setUp(t)
  for (const [encoding, bomb] of bombs) {
    for (const url of ['/sns', '/v1/webhooks', '/v1/rule-matches']) {
      const { arrayBuffers } = process.memoryUsage()
      const answer = await post(url, bomb, { 'content-encoding': encoding })
      t.equal(answer.statusCode, 413, `${url} ${encoding}: ${bomb.length} bytes`)
      t.match(answer.json(), { type: 'urn:alert-relay:problem:payload_too_large', detail: /bytes when inflated/ })
      t.ok(process.memoryUsage().arrayBuffers - arrayBuffers < 64 * MIB, 'it is not held in memory')
    }
  }
  const gz = { 'content-encoding': 'gzip' }
  const limits = [MIB, MIB + 1].map((length) => gzipSync(JSON.stringify({ rule: ' '.repeat(length - 11) })))
  const [fits, tooLong] = [await post('/v1/keys', limits[0]!, gz), await post('/v1/keys', limits[1]!, gz)]
  t.same([fits.statusCode, tooLong.statusCode], [400, 413], 'the limit is that of the inflated body')

  // over a socket: the answer comes though the client goes on writing
  await app.http.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.http.server.address() as { port: number }
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip', authorization }
    const sent = httpRequest({ port, path: '/v1/webhooks', method: 'POST', headers }, (answer) => {
      answer.resume()
      resolve(answer.statusCode)
      sent.destroy()
    })
    sent.on('error', reject)
    for (const [, bomb] of bombs.slice(0, 1)) sent.write(bomb)
  })
  t.equal(status, 413)
})
