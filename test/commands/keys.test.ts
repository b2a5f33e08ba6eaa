import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { keysCommand } from '../../src/commands/keys.js'
import type { ApiKey } from '../../src/core/access/api-key.js'
import { createTestApp, TEST_KEY } from '../helpers/app.js'

/** Runs a command as the command line does. */
async function run(args: string[], env: Record<string, string> = {}) {
  const [printed, notes]: [string[], string[]] = [[], []]
  const io = { env, print: (line: string) => printed.push(line), note: (line: string) => notes.push(line) }
  t.equal(await keysCommand.run(args, io), 0)
  return { printed, notes }
}

async function listen(t: Test, handler: RequestListener): Promise<string> {
  const server = createServer(handler).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('keys of a running relay are created, listed and revoked', async (t) => {
  const app = await createTestApp(t)
  const url = await app.http.listen({ host: '127.0.0.1', port: 0 })
  const env = { API_KEYS: `${TEST_KEY},another-key-of-theirs` }
  const made = await run(['create', '--name', 'grafana', '--scope', 'read', '--expires', '90d', '--url', url], env)
  t.equal(made.printed.length, 1, 'the key alone, for scripts')
  const [key] = made.printed
  t.match(key, /^ark_[0-9a-f]{32}_[\w-]{43}$/)
  t.match(made.notes, [/^key_[0-9a-f]{32}, scope read, until \d{4}-.*; shown this once$/])
  const listed = await app.http.inject({ url: '/v1/webhooks', headers: { authorization: `Bearer ${key}` } })
  t.equal(listed.statusCode, 200)

  await t.rejects(run(['list', '--url', url], { RELAY_API_KEY: key! }), {
    name: 'CommandError',
    message: 'This needs a key with the scope admin; yours has read.',
  })
  const { port } = new URL(url)
  const { printed } = await run(['list'], { ...env, PORT: port })
  t.match(printed, [/^id +scope +state +created +expires +last used +name$/, /^key_\w{32} +read +live .* grafana$/])
  const id = printed[1]!.split(' ')[0]!
  t.same(await run(['revoke', id, '--url', url], { RELAY_API_KEY: TEST_KEY }), {
    printed: [],
    notes: [`${id} is revoked`],
  })
  t.match((await run(['list'], { ...env, PORT: port })).printed[1], /^key_\w{32} +read +revoked /)
  await t.rejects(run(['revoke', `key_${'0'.repeat(32)}`, '--url', url], env), { message: 'There is no such key.' })

  const topic = 'arn:aws:sns:us-east-1:123456789012:ours_*'
  const bound = ['create', '--name', 'ours', '--scope', 'read', '--topic', topic, '--topic', `${topic}.fifo`]
  await run([...bound, '--url', url], env)
  const [newest] = (await app.api('GET', '/v1/keys')).json<{ data: ApiKey[] }>().data
  t.same(newest!.topics, [topic, `${topic}.fifo`])
  const unknown = ['create', '--name', 'x', '--scope', 'read', '--webhook', `wh_${'0'.repeat(32)}`, '--url', url]
  await t.rejects(run(unknown, env), { message: /webhooks.* is no webhook/ })
})

t.test('every page of a list is read, and control characters in names are escaped', async (t) => {
  const key = {
    scope: 'read',
    created_at: '2026-01-02T03:04:05Z',
    expires_at: null,
    last_used_at: null,
    revoked_at: null,
  }
  const url = await listen(t, (request, answer) => {
    const isFirst = !request.url!.includes('cursor=')
    const data = isFirst ? [{ ...key, id: 'key_1', name: 'a\u001b[2Jb' }] : [{ ...key, id: 'key_2', name: 'c' }]
    answer.end(JSON.stringify({ data, next_cursor: isFirst ? 'a&b' : null }))
  })
  const { printed } = await run(['list', '--url', url], { RELAY_API_KEY: 'x' })
  t.match(printed.slice(1), [
    /^key_1 {2}read +live +2026-01-02T03:04Z +- +- +a\?\[2Jb$/,
    /^key_2 {2}read +live +2026-01-02T03:04Z +- +- +c$/,
  ])
})

t.test('an error is one line with its remedy, without the key', async (t) => {
  const env = { RELAY_API_KEY: 'not-to-be-told' }
  let seen = 0
  const elsewhere = await listen(t, (_request, answer) => answer.end(String(++seen)))
  const redirecting = await listen(t, (_request, answer) => answer.writeHead(302, { location: elsewhere }).end())
  const page = await listen(t, (_request, answer) => answer.end('<html>'))
  const closed = 'http://127.0.0.1:1'
  for (const [args, message, environment] of [
    [['create', '--scope', 'read'], /needs --name and --scope/],
    [['create', '--name', 'x', '--scope', 'read', '--expires', 'soon'], /^--expires must be a duration such as/],
    [['list', '--url', 'relay'], /^--url must be where a relay listens/],
    [['list', '--url', 'ftp://x'], /^--url must be where a relay listens/],
    [['list', '--url', closed], /^no relay answers at http:\/\/127\.0\.0\.1:1: /],
    [['list', '--url', redirecting], /answered 302$/],
    [['list', '--url', page], /does not answer as a relay does$/],
    [['list'], /^no key: set RELAY_API_KEY/, { DATA_DIR: t.testdir({}) }],
    [['list'], /^the key must be printable ASCII/, { RELAY_API_KEY: 'not-to-be\ntold' }],
    [['list', '--verbose'], /Unknown option '--verbose'/],
  ] as [string[], RegExp, Record<string, string>?][]) {
    const error = await run(args, environment ?? env).then(
      () => undefined,
      (error: Error) => error,
    )
    t.match(error?.message, message, args.join(' '))
    t.notMatch(error?.message, /not-to-be/)
  }
  t.equal(seen, 0, 'a redirect is not followed')
  for (const [args, message] of [
    [[], /^keys needs create, list or revoke$/],
    [['explode'], /^keys has no 'explode'$/],
    [['revoke'], /^keys revoke needs the ID of a key$/],
    [['list', 'more'], /^keys list does not take 'more'$/],
    [['create', 'more'], /^keys create does not take 'more'$/],
    [['revoke', 'a', 'b'], /^keys revoke does not take 'b'$/],
    [['revoke', 'a', '--expires', '1d'], /^keys revoke does not take --expires$/],
    [['create', '--name', 'x', '--scope', 'all'], /^--scope must be ingest, read, write, admin$/],
  ] as [string[], RegExp][]) {
    await t.rejects(run(args, env), { name: 'UsageError', message }, args.join(' '))
  }
})

t.test('the key of the first start is read from DATA_DIR', async (t) => {
  const seen: (string | undefined)[] = []
  const url = await listen(t, ({ headers }, answer) => {
    seen.push(headers.authorization)
    answer.end('{"data":[],"next_cursor":null}')
  })
  const DATA_DIR = t.testdir({ 'api-key': 'ark_first\n' })
  await run(['list', '--url', url], { DATA_DIR })
  await run(['list', '--url', url], { DATA_DIR, API_KEYS: 'from-the-settings,second-key-000000' })
  await run(['list', '--url', url], { DATA_DIR, API_KEYS: 'from-the-settings', RELAY_API_KEY: 'from-the-caller' })
  t.same(seen, ['Bearer ark_first', 'Bearer from-the-settings', 'Bearer from-the-caller'])
})
