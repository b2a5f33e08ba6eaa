/**
 * The process of the receivers, one server each. It is apart from the driver, which would slow them down.
 *
 * Guarantee: a delivery counts when the `standardwebhooks` library has verified it; an incomplete request does not count.
 * The process ends with the driver.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { BEHAVIOURS, type Behaviour } from './behaviours.js'
import { createDeliveryLog, type Delivery, type Expected } from './delivery-log.js'
import type { Interval } from './lateness.js'
import { valuesIn } from './message.js'
import type { Command, Report, Results } from './protocol.js'
import { createRandom } from './random.js'
import { WEBHOOKS, type WebhookSpec } from './webhooks.js'

const receivers = new Map<string, Receiver>()
const startedMs = Date.now()
let recovered = false
let expected: Expected[] = []
let faults: Interval[] = []

interface Receiver {
  url: string
  verifier: Webhook | undefined
  report(): Report
}

interface Body {
  context_diff?: unknown
  updated_alert?: { id?: string }
  relay?: { sequence?: number; changes?: number }
}

process.on('disconnect', () => process.exit())
process.on('message', (command: Command) => {
  run(command).then(
    (result) => process.send?.(result),
    (error: unknown) => {
      throw error
    },
  )
})

async function run(command: Command): Promise<Results[Command['do']]> {
  switch (command.do) {
    case 'listen':
      for (const spec of WEBHOOKS) receivers.set(spec.name, await openReceiver(spec, command.seed))
      return Object.fromEntries([...receivers].map(([name, { url }]) => [name, url]))
    case 'secrets':
      for (const [name, secret] of Object.entries(command.secrets)) {
        receivers.get(name)!.verifier = new Webhook(secret)
      }
      return null
    case 'recover':
      recovered = true
      return null
    case 'expect':
      expected = command.events
      faults = command.faults
      return null
    case 'report':
      return Object.fromEntries([...receivers].map(([name, receiver]) => [name, receiver.report()]))
  }
}

async function openReceiver({ name, behaviour, options }: WebhookSpec, seed: number): Promise<Receiver> {
  const log = createDeliveryLog({ coalesced: options.coalesce === true })
  const random = createRandom(seed, name)
  const meter = createMeter()
  const misbehave: Behaviour = BEHAVIOURS[behaviour]
  // 'steady' stays as it is: its limits are checked while the waiting deliveries are drained, too
  const answer: Behaviour = (exchange) =>
    recovered && behaviour !== 'steady' ? BEHAVIOURS.well(exchange) : misbehave(exchange)

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {})
    const end = meter.begin(response)
    const text = await textOf(request)
    if (text === undefined) return
    const delivery = readDelivery(text, request, receiver.verifier)
    if (!delivery) {
      log.reject()
      response.writeHead(401).end()
      return
    }
    log.arrive(delivery)
    const accept = () => {
      log.accept(delivery)
      end()
    }
    const refuse = () => log.refuse(delivery)
    const { alertId } = delivery
    await answer({ response, random, atMs: Date.now() - startedMs, alertId, bytes: text.length, accept, refuse })
  }

  const server = createServer((request, response) => void handle(request, response))
  server.keepAliveTimeout = 30_000
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    verifier: undefined,
    report: () => ({ ...log.summarize(expected, faults), ...meter.peaks() }),
  }
  return receiver
}

/**
 * Measures requests in flight and per second. A request is counted in on the next turn of the event loop, so that one that
 * the relay has ended is counted out first.
 */
function createMeter() {
  let inFlight = 0
  let maxInFlight = 0
  let second = 0
  let inSecond = 0
  let maxPerSecond = 0
  return {
    peaks: () => ({ maxInFlight, maxPerSecond }),
    /** @returns ends the request; its response ends it, too */
    begin(response: ServerResponse): () => void {
      let state: 'new' | 'counted' | 'ended' = 'new'
      const end = () => {
        if (state === 'counted') inFlight--
        state = 'ended'
      }
      response.once('close', end)
      response.once('prefinish', end)
      setImmediate(() => {
        if (state !== 'new') return
        state = 'counted'
        maxInFlight = Math.max(maxInFlight, ++inFlight)
      })
      const now = Math.floor(Date.now() / 1000)
      if (now !== second) inSecond = 0
      second = now
      maxPerSecond = Math.max(maxPerSecond, ++inSecond)
      return end
    },
  }
}

/** The body; undefined when the request is incomplete. */
async function textOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer)
  } catch {
    return undefined
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Undefined for a request that does not verify, or is not JSON. */
function readDelivery(text: string, { headers }: IncomingMessage, verifier: Webhook | undefined): Delivery | undefined {
  try {
    verifier!.verify(text, headers as Record<string, string>, { jsonParse: false })
    const { context_diff: diff, updated_alert: alert, relay } = JSON.parse(text) as Body
    return {
      eventId: String(headers['webhook-id']),
      alertId: alert?.id ?? null,
      sequence: relay?.sequence ?? null,
      values: valuesIn(diff),
      changes: relay?.changes ?? 1,
    }
  } catch {
    return undefined
  }
}
