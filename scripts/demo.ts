/**
 * The demo: a signed SNS message goes through the relay to a receiver that verifies it, over real sockets.
 *
 * Guarantee: every line is checked before it is printed. The demo exits with 1 at the first failed check, and removes
 * everything that it created.
 */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { SAMPLE_CHANGE } from '../src/core/event/sample.js'
import { createReceiver, type ReceivedRequest } from '../test/helpers/receiver.js'
import { createSnsPublisher } from '../test/helpers/sns-publisher.js'

const TOPIC = 'arn:aws:sns:us-east-1:123456789012:matano-alerts'
const API_KEY = 'demo-key-demo-key'

let step = 0
const say = (title: string, ...lines: string[]) => {
  console.log(`\n${++step}. ${title}`)
  for (const line of lines) console.log(`   ${line}`)
}

const dataDir = await mkdtemp(join(tmpdir(), 'alert-relay-demo-'))
const publisher = await createSnsPublisher({ topicArn: TOPIC })
await publisher.serve()
const receiver = await createReceiver()
const relay = spawn(process.execPath, [join(import.meta.dirname, '../src/cli.js'), 'serve'], {
  stdio: ['ignore', 'pipe', 'inherit'],
  env: {
    PATH: process.env.PATH,
    PORT: '0',
    DATA_DIR: dataDir,
    API_KEYS: API_KEY,
    SNS_TOPICS: TOPIC,
    SNS_EMULATOR: publisher.origin,
    ALLOW_PRIVATE_TARGETS: '127.0.0.0/8',
  },
})

try {
  await demo(await listening())
  console.log('\nDone: everything above was checked.')
} catch (error) {
  console.error('\nThe demo failed:', error)
  process.exitCode = 1
} finally {
  if (relay.exitCode === null) {
    relay.kill('SIGTERM')
    await once(relay, 'exit')
  }
  await receiver.close()
  await publisher.close()
  await rm(dataDir, { recursive: true, force: true })
}

/** Resolves to the relay's address once it listens. */
function listening(): Promise<string> {
  return new Promise((resolve, reject) => {
    createInterface(relay.stdout).on('line', (line) => {
      const address = /"address":"([^"]+)"/.exec(line)?.[1]
      if (address) resolve(address)
    })
    relay.once('exit', (code) => reject(new Error(`the relay stopped with exit code ${code}`)))
  })
}

async function demo(url: string): Promise<void> {
  say(
    'Started',
    `alert-relay at ${url}, embedded database in a temporary folder`,
    `a stand-in for SNS that signs, at ${publisher.origin}`,
  )

  const webhook = await api(url, 'POST', '/v1/webhooks', { url: receiver.url, description: 'demo receiver' })
  assert.equal(webhook.status, 201)
  receiver.secrets = [String(webhook.body.secret)]
  say(
    'Registered a webhook',
    `POST /v1/webhooks -> 201 ${webhook.body.id}, secret ${String(webhook.body.secret).slice(0, 11)}...`,
  )

  const confirmed = await sns(url, publisher.subscriptionConfirmation())
  assert.deepEqual(confirmed, { status: 200, body: { result: 'confirmed' } })
  assert.equal(publisher.confirmations, 1)
  say('SNS asked to confirm the subscription', 'signature verified, topic listed, SubscribeURL fetched: 200 confirmed')

  const created = await sns(url, publisher.notification({ message: JSON.stringify(SAMPLE_CHANGE), version: '1' }))
  assert.equal(created.status, 200)
  const first = await delivered(1)
  say('SNS published an alert change, signed with SHA1', ...report(first))
  assert.equal(relayOf(first).type, 'alert.created')

  const change = structuredClone(SAMPLE_CHANGE)
  change.incoming_rule_matches_context.user.name = ['John Doe', 'Mallory']
  change.updated_alert.update_count = 2
  const message = publisher.notification({ message: JSON.stringify(change), version: '2' })
  assert.equal((await sns(url, message)).status, 200)
  const second = await delivered(2)
  assert.deepEqual(bodyOf(second).context_diff, { user: { name: ['Mallory'] } })
  say('The alert matched again, with one value it never held; signed with SHA256', ...report(second))

  const repeated = await sns(url, message)
  assert.deepEqual(repeated.body.result, 'duplicate')
  say('SNS sent the same message again', '200 duplicate: nothing is stored or delivered twice')

  const forged = await sns(url, { ...publisher.notification({ message: '{}' }), Message: '{"forged":true}' })
  assert.equal(forged.status, 403)
  say('Somebody forged a message', `403 ${forged.body.type}`)

  const deliveries = await api(url, 'GET', `/v1/webhooks/${webhook.body.id}/deliveries`)
  const states = (deliveries.body.data as { status: string }[]).map(({ status }) => status)
  assert.deepEqual(states, ['succeeded', 'succeeded'])
  assert.equal(receiver.received.length, 2)
  say('The delivery log', `GET /v1/webhooks/${webhook.body.id}/deliveries -> ${states.join(', ')}`)
}

async function delivered(count: number): Promise<ReceivedRequest> {
  const request = (await receiver.waitFor(count))[count - 1]!
  assert.ok(request.verified, 'the standardwebhooks library verifies the delivery')
  return request
}

function report(request: ReceivedRequest): string[] {
  return [
    'the receiver got:',
    `  webhook-id          ${request.id}   attempt ${request.attempt}`,
    `  webhook-signature   ${String(request.headers['webhook-signature']).slice(0, 24)}...`,
    `  relay               ${relayOf(request).type}, sequence ${relayOf(request).sequence}`,
    `  context_diff        ${JSON.stringify(bodyOf(request).context_diff)}`,
    'verified: the standardwebhooks library accepts the signature',
  ]
}

function bodyOf(request: ReceivedRequest): { context_diff: unknown; relay: { type: string; sequence: number } } {
  return request.json as ReturnType<typeof bodyOf>
}

function relayOf(request: ReceivedRequest) {
  return bodyOf(request).relay
}

interface Answer {
  status: number
  body: Record<string, unknown>
}

async function api(url: string, method: string, path: string, body?: unknown): Promise<Answer> {
  const headers = { authorization: `Bearer ${API_KEY}`, ...(body ? { 'content-type': 'application/json' } : {}) }
  const answer = await fetch(url + path, { method, headers, body: body ? JSON.stringify(body) : undefined })
  return { status: answer.status, body: (await answer.json()) as Answer['body'] }
}

async function sns(url: string, message: object): Promise<Answer> {
  const headers = { 'content-type': 'text/plain; charset=UTF-8' }
  const answer = await fetch(`${url}/sns`, { method: 'POST', headers, body: JSON.stringify(message) })
  return { status: answer.status, body: (await answer.json()) as Answer['body'] }
}
