/** Every route of the document, with a key of each scope and without one. */
import t from 'tap'
import { createDocument } from '../../src/http.js'
import { openTestApi, type Method } from '../helpers/api.js'
import { reportCount } from '../helpers/attacks.js'

/** Operations that need the scope admin; of the others GET needs read, and other methods need write. */
const ADMIN_OPERATIONS = [
  'getWebhookSecret',
  'rotateWebhookSecret',
  'approveTopic',
  'approveTopicInAdvance',
  'createKey',
  'listKeys',
  'revokeKey',
  'listAuditEntries',
]

async function operations() {
  const { paths } = (await createDocument()) as {
    paths: Record<string, Record<string, { operationId: string; security: unknown; responses: object }>>
  }
  return Object.entries(paths)
    .filter(([path]) => path.startsWith('/v1/'))
    .flatMap(([path, item]) =>
      Object.entries(item).map(([verb, { operationId, security, responses }]) => ({
        method: verb.toUpperCase() as Method,
        url: path.replace('{id}', 'x').replace('{arn}', 'x'),
        ...{ operationId, security, responses },
      })),
    )
}

t.test('every operation needs a key with its scope, which the OpenAPI document states', async (t) => {
  const { call, makeKey, entries } = await openTestApi(t)
  const [ingest, read, write, admin] = [
    await makeKey({ scope: 'ingest' }),
    await makeKey({ scope: 'read' }),
    await makeKey({ scope: 'write' }),
    await makeKey({ scope: 'admin' }),
  ]
  const all = await operations()
  let count = 0
  for (const name of ADMIN_OPERATIONS) {
    t.ok(
      all.find(({ operationId }) => operationId === name),
      `${name} is there`,
    )
  }
  for (const { operationId, method, url, security, responses } of all) {
    const name = `${operationId}: ${method} ${url}`
    const usual = method === 'GET' ? 'read' : 'write'
    const needed = ADMIN_OPERATIONS.includes(operationId)
      ? 'admin'
      : ['createMessage', 'createRuleMatches'].includes(operationId)
        ? 'ingest'
        : usual
    t.same(security, [{ key: [needed] }], `${name} says ${needed}`)
    t.match(responses, { 401: {}, 403: {} }, name)
    t.equal((await call(undefined, method, url)).statusCode, 401, name)
    count += 5
    const refused = { admin: [ingest, read, write], write: [ingest, read], read: [ingest], ingest: [read] }[needed]
    for (const { key, scope } of refused) {
      const answer = await call(key, method, url)
      t.equal(answer.statusCode, 403, `${name} with ${scope}`)
      t.match(answer.json(), {
        type: 'urn:alert-relay:problem:forbidden',
        detail: `This needs a key with the scope ${needed}; yours has ${scope}.`,
      })
    }
    if (url.endsWith('/stream')) continue
    for (const { key, scope } of [ingest, read, write, admin].filter((key) => !refused.includes(key))) {
      const { statusCode } = await call(key, method, url)
      t.notOk([401, 403].includes(statusCode), `${name} with ${scope} is let in: ${statusCode}`)
    }
  }
  const left = await entries('action=key.created')
  t.equal(left.length, (await entries()).length, 'what was refused left no entry but those of the keys')
  reportCount(t, count, 'routes of the document, each without a key and with one of each scope')
})

t.test('HEAD needs the same scope as GET', async (t) => {
  const { makeKey, call } = await openTestApi(t)
  const { key } = await makeKey({ scope: 'read' })
  const head = 'HEAD' as Method
  t.equal((await call(key, head, '/v1/webhooks')).statusCode, 200)
  t.equal((await call(key, head, '/v1/keys')).statusCode, 403)
  t.equal((await call(key, head, `/v1/webhooks/wh_${'0'.repeat(32)}/secret`)).statusCode, 403)
})
