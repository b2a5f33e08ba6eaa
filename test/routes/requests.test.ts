import t from 'tap'
import type { Database } from '../../src/core/platform/database.js'
import { createDocument } from '../../src/http.js'
import type { Problem } from '../../src/routes/problems.js'
import { FULL_KEY, openTestApi, type Method } from '../helpers/api.js'
import { createTestApp, TEST_KEY } from '../helpers/app.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'

interface Parameter {
  name: string
  in: string
  required?: boolean
}
interface Operation {
  parameters?: Parameter[]
  requestBody?: { required: boolean; content: Record<string, { example?: object }> }
}

/** The prefix of ids, by the first segment of a path. */
const KINDS: Record<string, string> = {
  webhooks: 'wh',
  events: 'evt',
  deliveries: 'dlv',
  recoveries: 'rec',
  keys: 'key',
}

const { paths } = (await createDocument()) as { paths: Record<string, Record<string, Operation>> }
/** Every operation under /v1, with a valid path. */
const OPERATIONS = Object.entries(paths)
  .filter(([path]) => path.startsWith('/v1/'))
  .flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, operation]) => {
      const queries = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query')
      return { path, url: urlOf(path), method: method.toUpperCase() as Method, operation, queries }
    }),
  )

function urlOf(path: string): string {
  const id = `${KINDS[path.split('/')[2]!] ?? 'other'}_${'0'.repeat(32)}`
  return path.replace('{id}', id).replace('{arn}', encodeURIComponent(TEST_TOPIC))
}

const messagesAt = ({ errors = [] }: Problem, path: string) =>
  errors.filter((error) => error.path === path).map(({ message }) => message)

t.test('an unknown query parameter is refused, and the message lists the known ones', async (t) => {
  const { call } = await openTestApi(t)
  for (const { url, method, queries } of OPERATIONS) {
    const answer = await call(FULL_KEY, method, `${url}?limt=5`)
    t.equal(answer.statusCode, 400, `${method} ${url}`)
    const known = queries.map(({ name }) => name).join(', ') || 'none'
    t.same(messagesAt(answer.json(), '/limt'), [`is not a known parameter; those of this path: ${known}`])
  }
})

t.test('a repeated query parameter is refused by name, and every one is optional', async (t) => {
  const { call } = await openTestApi(t)
  for (const { url, method, queries } of OPERATIONS) {
    for (const { name, required } of queries) {
      t.notOk(required, `${name} of ${url} is optional`)
      const answer = await call(FULL_KEY, method, `${url}?${name}=5&${name}=5`)
      t.equal(answer.statusCode, 400, `${name} of ${url}`)
      t.ok(messagesAt(answer.json(), `/${name}`).includes('is there more than once: send it once'), name)
    }
  }
})

t.test('a cursor that the list has not issued is refused by name', async (t) => {
  const { call, database } = await openTestApi(t)
  await addAlerts(database, [`other_${'0'.repeat(32)}`])
  const alertCursor = (text: string) => Buffer.from(text).toString('base64url')
  const lists = OPERATIONS.filter(({ queries }) => queries.some(({ name }) => name === 'cursor'))
  t.equal(lists.length, 13)
  for (const { url } of lists) {
    for (const cursor of [
      'nonsense',
      'null',
      `att_${'0'.repeat(32)}`,
      `wh_${'0'.repeat(31)}`,
      'x'.repeat(1200),
      alertCursor('yesterday id'),
      alertCursor('2026-13-01T00:00:00.000Z id'),
      alertCursor('2026-01-01T00:00:00.000Z '),
      alertCursor('2026-01-01T00:00:00.000Z a\0b'),
      `${alertCursor('2026-01-01T00:00:00.000Z id')}=`,
    ]) {
      const answer = await call(FULL_KEY, 'GET', `${url}?cursor=${cursor}`)
      t.equal(answer.statusCode, 400, `${url} ${cursor}`)
      t.match(messagesAt(answer.json(), '/cursor'), [/^is no cursor of this list: send the next_cursor/])
    }
  }
})

t.test('every cursor of a list is accepted, however long its id', async (t) => {
  const { call, database } = await openTestApi(t)
  const arns = ['a', 'b'].map((letter) => `arn:aws-us-gov:sns:us-gov-west-1:123456789012:${letter.repeat(256)}`)
  await database.query(`insert into topics (arn, status) select unnest($1::text[]), 'confirmed'`, [arns])
  const ids = ['\u{1f513}', '\u{1f512}'].map((character) => character.repeat(200))
  await addAlerts(database, ids)
  for (const [url, key, expected] of [
    ['/v1/topics', 'arn', arns],
    ['/v1/alerts', 'id', ids],
  ] as const) {
    const page = async (query: string) =>
      (await call(FULL_KEY, 'GET', `${url}?limit=1${query}`)).json<{
        data?: Record<string, string>[]
        next_cursor: string
      }>()
    const first = await page('')
    const second = await page(`&cursor=${first.next_cursor}`)
    t.same([first.data?.[0]?.[key], second.data?.[0]?.[key]], expected, url)
  }
})

t.test('an unknown method of a known path gets 405 with Allow; an unknown path gets 404', async (t) => {
  const { inject } = await openTestApi(t)
  for (const [path, operations] of Object.entries(paths)) {
    const taken = Object.keys(operations).map((method) => method.toUpperCase())
    const allow = [...taken, ...(taken.includes('GET') ? ['HEAD'] : [])].sort()
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND']) {
      if (allow.includes(method)) continue
      const answer = await inject({
        method: method as 'GET',
        url: urlOf(path),
        headers: { 'content-type': 'text/plain' },
      })
      t.equal(answer.statusCode, 405, `${method} ${path}`)
      t.equal(answer.headers.allow, allow.join(', '))
      if (method === 'HEAD') continue
      t.match(answer.json(), {
        type: 'urn:alert-relay:problem:method_not_allowed',
        status: 405,
        detail: allow.join(', '),
      })
    }
  }
  for (const method of ['GET', 'PUT', 'PROPFIND']) {
    const unknown = {
      method: method as 'GET',
      url: '/v1/nothing',
      headers: { 'content-type': 'text/plain' },
      body: 'x',
    }
    const answer = await inject(unknown)
    t.match(answer.json(), { status: 404, type: 'urn:alert-relay:problem:not_found' }, method)
  }
})

t.test('a URL that is too long or cannot be decoded gets a problem document', async (t) => {
  const { call } = await openTestApi(t)
  for (const [url, status, code, detail] of [
    [`/v1/alerts/${'a'.repeat(601)}`, 414, 'uri_too_long', /shorten it/],
    ['/v1/webhooks/%E0%A4%A', 400, 'invalid_request', /cannot be decoded/],
    ['/nothing/%', 400, 'invalid_request', /cannot be decoded/],
  ] as const) {
    const answer = await call(FULL_KEY, 'GET', url)
    t.equal(answer.statusCode, status, url)
    t.equal(answer.headers['content-type'], 'application/problem+json')
    t.match(answer.json(), { type: `urn:alert-relay:problem:${code}`, status, detail })
    t.match(answer.headers['x-request-id'], /^req_/)
  }
})

t.test('/sns and the health checks accept any query', async (t) => {
  const publisher = await createSnsPublisher()
  await publisher.serve()
  t.teardown(() => publisher.close())
  const app = await createTestApp(t, { SNS_TOPICS: TEST_TOPIC, SNS_EMULATOR: publisher.origin })
  const payload = JSON.stringify(publisher.notification({ message: 'hello' }))
  const headers = { 'content-type': 'text/plain; charset=UTF-8' }
  const answer = await app.http.inject({ method: 'POST', url: '/sns?x=1&x=2&%E0%A4%A', headers, payload })
  t.match(answer.json(), { result: 'stored' })
  for (const url of ['/healthz?x=1', '/readyz?x=1', '/metrics?x=1']) {
    t.equal((await app.api('GET', url)).statusCode, 200, url)
  }
})

t.test(
  'an empty body with a JSON content type counts as absent: required fields are reported as missing',
  async (t) => {
    const app = await createTestApp(t)
    const { id } = (await app.api('POST', '/v1/webhooks', { url: 'https://example.com/' })).json<{ id: string }>()
    const withBody = OPERATIONS.filter(({ operation }) => operation.requestBody)
    const optional = withBody.filter(({ operation }) => !operation.requestBody!.required)
    t.same(optional.map(({ path }) => path).sort(), [
      '/v1/deliveries/retry',
      '/v1/events/{id}/replay',
      '/v1/webhooks/{id}/preview',
      '/v1/webhooks/{id}/secret/rotate',
    ])
    const authorization = { authorization: `Bearer ${TEST_KEY}` }
    const bodiless = [
      { headers: authorization },
      { headers: { ...authorization, 'content-type': 'application/json' } },
      { headers: { ...authorization, 'content-type': 'application/json' }, payload: '' },
    ]
    for (const { method, path, url, operation } of withBody) {
      for (const request of bodiless) {
        const answer = await app.http.inject({
          ...request,
          method,
          url: path.replace('{id}', id) === url ? url : url.replace(/wh_0+/, id),
        })
        if (operation.requestBody!.required) {
          t.match(answer.json(), { status: 400, errors: [{ path: String, message: String }] }, `${method} ${path}`)
        } else t.ok([200, 202, 404].includes(answer.statusCode), `${method} ${path}: ${answer.body}`)
      }
    }
    const [, json] = bodiless
    t.equal((await app.http.inject({ ...json, method: 'DELETE', url: `/v1/webhooks/${id}` })).statusCode, 204)
  },
)

t.test('all errors of a request are reported at once, each with the accepted values', async (t) => {
  const { call } = await openTestApi(t)
  const create = async (body: object) => (await call(FULL_KEY, 'POST', '/v1/webhooks', body)).json<Problem>()
  const named = ({ errors = [] }: Problem) => errors.map(({ path, message }) => `${path} ${message}`).sort()
  const words = await create({
    url: 'https://example.com/',
    name: '-',
    topics: ['all'],
    once: { paths: ['a'], within: '1 d' },
  })
  t.match(named(words).join('\n'), /^\/name must be 2 to 100 letters, digits, dots, .*$/m)
  t.match(named(words).join('\n'), /^\/once\/within must be a duration such as 30m, 12h or 7d$/m)
  t.match(named(words).join('\n'), /^\/topics\/0 must be a topic ARN, \* allowed inside a part$/m)
  t.match((await call(FULL_KEY, 'GET', '/v1/webhooks/1')).json(), {
    errors: [{ path: '/id', message: 'must be an id: wh_ and 32 hexadecimal digits' }],
  })
  const shapes = await create({ timeout_ms: 1, status: 'paused', topics: 'all', 'a/b': 1 })
  t.same(named(shapes), [
    '/a~1b is not a known field',
    '/status must be equal to one of the allowed values: enabled, disabled',
    '/timeout_ms must be >= 1000',
    '/topics must be array',
    '/url is required',
  ])
  t.same(
    shapes.errors?.map(({ detail }) => detail),
    shapes.errors?.map(({ message }) => message),
    'the name that it had first is there too',
  )
  const wholes = await create({
    ...{ url: 'ftp://example.com/', secret: 'short', headers: { host: 'a' }, filter: { a: 1 } },
    topics: ['arn:aws:sns:us-*:123456789012:*', 'arn:aws:sns:s3:123456789012:*'],
  })
  const paths = ['/filter/a', '/headers/host', '/secret', '/topics/1', '/url']
  t.same(wholes.errors?.map(({ path }) => path).sort(), paths)
  const both = await call(FULL_KEY, 'POST', '/v1/webhooks?dry=1', { url: 5 })
  t.same(named(both.json()), ['/dry is not a known parameter; those of this path: none', '/url must be string'])
  const times = await call(FULL_KEY, 'GET', '/v1/events?since=yesterday&until=now&limit=0')
  t.same(named(times.json()).length, 3)
  const leap = await call(FULL_KEY, 'GET', '/v1/events?since=2016-12-31T23:59:60Z')
  t.match(leap.json(), { errors: [{ path: '/since', message: /^is no time that can be compared with/ }] })
})

t.test('a response lists at most twenty errors, and only the first of a huge body', async (t) => {
  const { call } = await openTestApi(t)
  const create = async (topics: unknown[]) => {
    const answer = await call(FULL_KEY, 'POST', '/v1/webhooks', { url: 'https://example.com/', event_types: topics })
    return answer.json<Problem>()
  }
  const many = await create(Array.from({ length: 25 }, (_, i) => `alert.${i}`))
  t.equal(many.errors?.length, 20)
  t.match(many.detail, /; and 5 more$/)
  t.equal((await create(Array.from({ length: 100_000 }, (_, i) => `a${i}`))).errors?.length, 1)
  const long = await call(FULL_KEY, 'POST', '/v1/webhooks', { url: 'https://example.com/', ['k'.repeat(500_000)]: 1 })
  t.ok(long.body.length < 2000, 'a name is cut')
})

async function addAlerts(database: Database, ids: readonly string[]): Promise<void> {
  await database.query(
    `insert into alerts (id, sequence, title, severity, first_seen_at, last_seen_at)
     select unnest($1::text[]), 1, 'title', 'low', at, at from date_trunc('milliseconds', now()) as at`,
    [ids],
  )
}
