/**
 * The receivers, as a process of their own: one server each, so that the driver slows none of them.
 *
 * Promise: a delivery counts when the `standardwebhooks` library verified it; a request that broke off half-way counts for
 * nothing. Ends with the driver.
 */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'
import { BEHAVIOURS, type Behaviour } from './behaviours.js'
import { CAST, type Part } from './cast.js'
import { valuesIn } from './change.js'
import { createLedger, type Arrival, type Expected } from './ledger.js'
import type { Answers, Order, Report } from './orders.js'
import { createRandom } from './random.js'

const receivers = new Map<string, Receiver>()
const startedMs = Date.now()
let healed = false
let expected: Expected[] = []

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
process.on('message', (order: Order) => {
  obey(order).then(
    (answer) => process.send?.(answer),
    (error: unknown) => {
      throw error
    },
  )
})

async function obey(order: Order): Promise<Answers[Order['do']]> {
  switch (order.do) {
    case 'open':
      for (const part of CAST) receivers.set(part.name, await openReceiver(part, order.seed))
      return Object.fromEntries([...receivers].map(([name, { url }]) => [name, url]))
    case 'trust':
      for (const [name, secret] of Object.entries(order.secrets)) receivers.get(name)!.verifier = new Webhook(secret)
      return null
    case 'heal':
      healed = true
      return null
    case 'expect':
      expected = order.events
      return null
    case 'tell':
      return Object.fromEntries([...receivers].map(([name, receiver]) => [name, receiver.report()]))
  }
}

async function openReceiver({ name, behaviour, demands }: Part, seed: number): Promise<Receiver> {
  const ledger = createLedger({ coalesced: demands.coalesce === true })
  const random = createRandom(seed, name)
  const crowd = createCrowd()
  const misbehave: Behaviour = BEHAVIOURS[behaviour]
  // one that is only steady stays so: its limits are to hold while what waited is drained, too
  const answer: Behaviour = (exchange) =>
    healed && behaviour !== 'steady' ? BEHAVIOURS.well(exchange) : misbehave(exchange)

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.on('error', () => {})
    const leave = crowd.enter(response)
    const text = await textOf(request)
    if (text === undefined) return
    const arrival = readDelivery(text, request, receiver.verifier)
    if (!arrival) {
      ledger.refuse()
      response.writeHead(401).end()
      return
    }
    ledger.arrive(arrival)
    const take = () => {
      ledger.take(arrival)
      leave()
    }
    await answer({ response, random, atMs: Date.now() - startedMs, take })
  }

  const server = createServer((request, response) => void handle(request, response))
  server.keepAliveTimeout = 30_000
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    verifier: undefined,
    report: () => ({ ...ledger.tally(expected), ...crowd.peaks() }),
  }
  return receiver
}

/** Counts requests under way. One that the relay has given up is counted out before the next one is counted in. */
function createCrowd() {
  let inFlight = 0
  let maxInFlight = 0
  let second = 0
  let inSecond = 0
  let maxPerSecond = 0
  return {
    peaks: () => ({ maxInFlight, maxPerSecond }),
    enter(response: ServerResponse): () => void {
      let state: 'coming' | 'in' | 'out' = 'coming'
      const leave = () => {
        if (state === 'in') inFlight--
        state = 'out'
      }
      response.once('close', leave)
      response.once('prefinish', leave)
      setImmediate(() => {
        if (state !== 'coming') return
        state = 'in'
        maxInFlight = Math.max(maxInFlight, ++inFlight)
      })
      const now = Math.floor(Date.now() / 1000)
      if (now !== second) inSecond = 0
      second = now
      maxPerSecond = Math.max(maxPerSecond, ++inSecond)
      return leave
    },
  }
}

/** Undefined when it broke off. */
async function textOf(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer)
  } catch {
    return undefined
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** Undefined when it does not verify, or is no JSON. */
function readDelivery(text: string, { headers }: IncomingMessage, verifier: Webhook | undefined): Arrival | undefined {
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
