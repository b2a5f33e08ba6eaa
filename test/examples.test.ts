/** Runs the examples as processes, with signed requests and with the deliveries of a relay. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { newSecret, signatureHeaders } from '../src/core/delivery/signature.js'
import { newId } from '../src/core/platform/id.js'
import { ROOT } from '../src/core/platform/root.js'
import { createTestApp, type TestApp } from './helpers/app.js'
import { createReceiver, type Respond } from './helpers/receiver.js'
import { until } from './helpers/until.js'

const EXAMPLES = join(ROOT, 'examples')
const MINUTE_MS = 60_000
/** The time that a test waits for output. */
const TIMEOUT_MS = 30_000
const run = promisify(execFile)

/** The command that starts a receiver; undefined where its language is not installed. */
type Command = string[] | undefined

const isInstalled = (command: string, argument: string) =>
  run(command, [argument]).then(
    () => true,
    () => false,
  )

async function buildGo(): Promise<Command> {
  if (!(await isInstalled('go', 'version'))) return undefined
  const folder = await mkdtemp(join(tmpdir(), 'alert-relay-go-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const binary = join(folder, 'receiver')
  // without cgo Go needs no C compiler and downloads nothing
  const env = { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local', GOPROXY: 'off', GOFLAGS: '' }
  await run('go', ['build', '-o', binary, '.'], { cwd: join(EXAMPLES, 'receiver-go'), env })
  return [binary]
}

const hasPython = await isInstalled('python3', '--version')
const RECEIVERS: Record<string, Command> = {
  node: [process.execPath, join(EXAMPLES, 'receiver-node/receiver.mjs')],
  python: hasPython ? ['python3', join(EXAMPLES, 'receiver-python/receiver.py')] : undefined,
  go: await buildGo(),
}
const SCANNER = [process.execPath, join(EXAMPLES, 'virustotal-once/scan.mjs')]

interface Example {
  url: string
  /** The ids of the events that it has printed as accepted. */
  taken(): string[]
  /** Resolves when it has printed a line with this start. */
  waitFor(line: string): Promise<void>
  /** Ends the process and reads the rest of its output. */
  stop(): Promise<void>
}

async function startExample(t: Test, [command, ...args]: string[], settings: Record<string, string>): Promise<Example> {
  const { PATH = '', HOME = '' } = process.env
  const child = spawn(command!, args, {
    env: { PATH, HOME, PORT: '0', ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const closed = once(child, 'close')
  const ended = new AbortController()
  child.once('close', () => ended.abort())
  const stop = async () => {
    child.kill('SIGKILL')
    await closed
  }
  t.teardown(stop)
  const lines: string[] = []
  let errors = ''
  child.stderr.on('data', (chunk) => (errors += String(chunk)))
  const out = createInterface(child.stdout)
  out.on('line', (line) => lines.push(line))
  const waitFor = async (start: string) => {
    const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(TIMEOUT_MS)])
    try {
      while (!lines.some((line) => line.startsWith(start))) await once(out, 'line', { signal })
    } catch (cause) {
      throw new Error(`no "${start}" in: ${[...lines, errors].join('\n')}`, { cause })
    }
  }
  await waitFor('listening on ')
  return {
    url: lines[0]!.slice('listening on '.length),
    taken: () => lines.filter((line) => line.startsWith('took ')).map((line) => line.split(' ')[1]!),
    waitFor,
    stop,
  }
}

/** Posts an event as the relay does. */
async function post(url: string, { id, body, secrets, ageMs = 0 }: Signed): Promise<Response> {
  const timestamp = new Date(Date.now() - ageMs)
  const headers = { ...signatureHeaders({ id, timestamp, body, secrets }), 'content-type': 'application/json' }
  return fetch(url, { method: 'POST', body, headers })
}

interface Signed {
  id: string
  body: string
  secrets: string[]
  ageMs?: number
}

const bodyOf = (id: string, more: object = {}) =>
  JSON.stringify({ relay: { event_id: id, type: 'alert.created' }, context_diff: { user: { name: ['Zoë'] } }, ...more })

for (const [language, command] of Object.entries(RECEIVERS)) {
  const options = command ? {} : { skip: `${language} is not installed` }
  t.test(`the ${language} example accepts each signed event once and refuses invalid requests`, options, async (t) => {
    const secret = newSecret()
    const secrets = [secret]
    const receiver = await startExample(t, command!, { WEBHOOK_SECRET: secret })
    const status = async (signed: Signed) => (await post(receiver.url, signed)).status

    const [first, second] = [newId('evt'), newId('evt')]
    const signed = { id: first, body: bodyOf(first), secrets }
    t.equal(await status(signed), 204)
    await receiver.waitFor(`took ${first}`)
    t.equal(await status(signed), 204, 'a repeat is answered like the first')

    const id = newId('evt')
    const body = bodyOf(id)
    t.equal(await status({ id, body, secrets: [newSecret()] }), 401, 'another secret')
    t.equal(await status({ id, body, secrets, ageMs: 6 * MINUTE_MS }), 401, 'too old')
    t.equal(await status({ id, body, secrets, ageMs: -6 * MINUTE_MS }), 401, 'from the future')
    const headers = { ...signatureHeaders({ id, timestamp: new Date(), body, secrets }) }
    const forge = (forged: object, changed = body) =>
      fetch(receiver.url, { method: 'POST', body: changed, headers: { ...headers, ...forged } })
    t.equal((await forge({}, `${body} `)).status, 401, 'a changed body')
    t.equal((await forge({ 'webhook-id': newId('evt') })).status, 401, 'a changed id')
    t.equal((await forge({ 'webhook-timestamp': 'soon' })).status, 401, 'no timestamp')
    t.equal((await forge({ 'webhook-signature': 'v1, v1,AAAA ,' })).status, 401, 'no signature')
    t.equal((await fetch(receiver.url, { method: 'POST', body })).status, 401, 'no headers')

    t.equal(await status({ id: second, body: bodyOf(second), secrets: [newSecret(), secret] }), 204)
    await receiver.waitFor(`took ${second}`)
    await receiver.stop()
    t.same(receiver.taken(), [first, second])
  })
}

type Answer = Awaited<ReturnType<TestApp['api']>>

/** Sends a request to the relay. @throws Error for a status of 300 or more */
async function ask(app: TestApp, ...request: Parameters<TestApp['api']>): Promise<Answer> {
  const answer = await app.api(...request)
  if (answer.statusCode >= 300) throw new Error(`${answer.statusCode}: ${answer.body}`)
  return answer
}

/** Creates a webhook for an example and starts it. The URL is set afterwards: the example needs the secret to start. */
async function addExample(t: Test, app: TestApp, command: string[], fields: object, settings = {}): Promise<Example> {
  const made = await ask(app, 'POST', '/v1/webhooks', { url: 'http://127.0.0.1:9/', ...fields })
  const { id, secret } = made.json<{ id: string; secret: string }>()
  const example = await startExample(t, command, { WEBHOOK_SECRET: secret, ...settings })
  await ask(app, 'PATCH', `/v1/webhooks/${id}`, { url: example.url })
  return example
}

async function report(app: TestApp, rule: string, context: object): Promise<string> {
  const answer = await ask(app, 'POST', '/v1/rule-matches', { rule_matches: [{ rule, context }] })
  return answer.json<{ alerts: { event_id: string }[] }>().alerts[0]!.event_id
}

/** Waits until every delivery of an event has succeeded with at least `attempts` attempts. @returns the number of deliveries */
async function delivered(app: TestApp, eventId: string, attempts: number): Promise<number> {
  const list = ({ body }: Answer) => (JSON.parse(body) as { data: { status: string; attempt_count: number }[] }).data
  const isDone = (answer: Answer) =>
    list(answer).length > 0 &&
    list(answer).every(({ status, attempt_count: count }) => status === 'succeeded' && count >= attempts)
  return list(await until(() => ask(app, 'GET', `/v1/events/${eventId}/deliveries`), isDone)).length
}

t.test('the examples accept the deliveries of a relay, and recognize a replay', async (t) => {
  const app = await createTestApp(t)
  app.startWorkers()
  const commands = Object.values(RECEIVERS).filter((command) => command !== undefined)
  const examples = await Promise.all(commands.map((command) => addExample(t, app, command, {})))
  const event = await report(app, 'r', { user: { name: 'Zoë' } })
  await Promise.all(examples.map((example) => example.waitFor(`took ${event}`)))
  t.equal(await delivered(app, event, 1), examples.length)
  await ask(app, 'POST', `/v1/events/${event}/replay`, {})
  await delivered(app, event, 2)
  for (const example of examples) {
    await example.stop()
    t.same(example.taken(), [event])
  }
})

async function scannerFor(t: Test, respond: Respond = () => ({ status: 200, body: '{}' })) {
  const scanner = await createReceiver({ respond })
  t.teardown(() => scanner.close())
  return { scanner, settings: { SCANNER_URL: scanner.url, SCANNER_API_KEY: 'the key' } }
}

const [HASH, OTHER_HASH] = ['a'.repeat(64), 'b'.repeat(64)]

t.test('two alerts with the same hash make one request to the scanner', async (t) => {
  const { scanner, settings } = await scannerFor(t)
  const app = await createTestApp(t)
  app.startWorkers()
  await addExample(t, app, SCANNER, { once: { paths: ['file.hash.*', 'related.ip'] } }, settings)
  const context = { file: { hash: { sha256: HASH } }, related: { ip: '8.8.8.8' } }
  await report(app, 'one', context)
  await scanner.waitFor(2)
  await report(app, 'two', context)
  await report(app, 'three', { ...context, file: { hash: { sha256: OTHER_HASH } } })
  await scanner.waitFor(3)
  const paths = scanner.received.map(({ path }) => path)
  t.same(paths, [`/hook/files/${HASH}`, '/hook/ip_addresses/8.8.8.8', `/hook/files/${OTHER_HASH}`])
  t.equal(scanner.received[0]!.headers['x-apikey'], 'the key')
})

t.test('a scanner without quota gets a 503 with its Retry-After, and a retry requests only the rest', async (t) => {
  const { scanner, settings } = await scannerFor(t, ({ path }, count) =>
    path.endsWith(OTHER_HASH) && count < 4
      ? { status: 429, headers: count === 2 ? { 'retry-after': '7' } : undefined }
      : { status: 404 },
  )
  const secret = newSecret()
  const example = await startExample(t, SCANNER, { WEBHOOK_SECRET: secret, ...settings })
  const id = newId('evt')
  const indicators = [
    ...[HASH, HASH, 17, 'no indicator', '../users/me', OTHER_HASH].map((value) => ({ path: 'file.hash.x', value })),
    { path: 'url.full', value: 'https://example.com/?a=b' },
  ]
  const signed = { id, body: bodyOf(id, { indicators }), secrets: [secret] }
  for (const [status, retryAfter] of [
    [503, '7'],
    [503, '60'],
    [204, null],
    [204, null],
  ] as const) {
    const answer = await post(example.url, signed)
    t.equal(answer.status, status)
    t.equal(answer.headers.get('retry-after'), retryAfter)
  }
  t.equal((await post(example.url, { ...signed, secrets: [newSecret()] })).status, 401)
  t.same(
    scanner.received.map(({ path }) => path.slice('/hook'.length)),
    [
      `/files/${HASH}`,
      ...[1, 2, 3].map(() => `/files/${OTHER_HASH}`),
      `/urls/${Buffer.from('https://example.com/?a=b').toString('base64url')}`,
    ],
  )
})
