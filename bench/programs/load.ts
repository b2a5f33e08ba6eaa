/**
 * A simulated SNS: signed messages, as fast as they are answered or at a steady rate.
 *
 * Guarantee: every message is signed, fresh and has its own MessageId. Messages are signed before they are needed, and used
 * again for another, empty database.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { createSnsPublisher } from '../../test/helpers/sns-publisher.js'
import { alertsFor, changeText, ruleMatchesText, smallChangeText } from '../message.js'
import { nowMs, serveCommands } from '../program.js'

/** The messages that an open loop sent, as columns. */
export interface Sent {
  eventIds: string[]
  atMs: number[]
  /** Answers 503. The message was sent again; its time is that of the first try. */
  refused: number
}

const HEADERS = { 'content-type': 'text/plain; charset=UTF-8' }
/** More than an open loop ever has in flight, so that no message waits for a connection. */
const OPEN_LOOP_CONNECTIONS = 256
const RETRY_MS = 100

const publisher = await createSnsPublisher()
await publisher.serve()
const signed: string[] = []

function sign(index: number, alerts: number, set: Record<string, unknown> = {}): string {
  return JSON.stringify(publisher.notification({ message: changeText(index, alerts), set }))
}

/** A prepared message, or a new one beyond their number. */
function messageAt(index: number): string {
  return signed[index] ?? sign(index, alertsFor(signed.length || 1000))
}

/** Sends a message until it is accepted, like SNS but with shorter waits; `refused` counts the 503s. */
async function post(pool: Pool, body: string): Promise<{ eventId: string; refused: number }> {
  const { receipt, refused } = await request(pool, { path: '/sns', headers: HEADERS, body })
  return { eventId: receipt.event_id ?? '', refused }
}

async function request(pool: Pool, { path, headers, body }: { path: string; headers: typeof HEADERS; body: string }) {
  for (let refused = 0; ; refused++) {
    const answer = await pool.request({ path, method: 'POST', headers, body })
    const receipt = (await answer.body.json()) as { event_id?: string }
    if (answer.statusCode < 300) return { receipt, refused }
    if (answer.statusCode !== 503) throw new Error(`POST ${path}: ${answer.statusCode} ${JSON.stringify(receipt)}`)
    await sleep(RETRY_MS)
  }
}

/** Sends one rule match, of the context that the message of this index has. */
function postMatch(pool: Pool, index: number, { alerts, apiKey }: MatchOptions): ReturnType<typeof request> {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` }
  return request(pool, { path: '/v1/rule-matches', headers, body: ruleMatchesText(index, alerts) })
}

const commands = {
  /** The value for SNS_EMULATOR. */
  origin: (): string => publisher.origin,
  /** Signs messages until there are `count`. */
  prepare(count: number): void {
    while (signed.length < count) signed.push(sign(signed.length, alertsFor(count)))
  },
  /** A closed loop: each connection sends its next message when the last was answered, for `count` messages or `seconds`. */
  async closedLoop({
    url,
    connections,
    from = 0,
    count = Infinity,
    seconds = Infinity,
    again,
    matches,
  }: ClosedLoopOptions): Promise<ClosedLoopResult> {
    const pool = new Pool(url, { connections, pipelining: 1 })
    const result: ClosedLoopResult = { accepted: 0, refused: 0, seconds: 0, next: from }
    const started = nowMs()
    const sender = async () => {
      while (result.next < from + count && nowMs() < started + seconds * 1000) {
        const index = result.next++
        const sent = matches
          ? postMatch(pool, index, matches)
          : post(pool, messageAt(again ? index % signed.length : index))
        result.refused += (await sent).refused
        result.accepted++
      }
    }
    await Promise.all(Array.from({ length: connections }, sender))
    result.seconds = (nowMs() - started) / 1000
    await pool.close()
    return result
  },
  /**
   * An open loop: sends `count` messages at a steady rate a second, independent of the answers: the prepared ones from `from`
   * on, then new ones. With `topics` all are new, to so many topics in turn (`...:group-0`, ...).
   */
  async openLoop({ url, rate, count, from = 0, topics = 0 }: OpenLoopOptions): Promise<Sent> {
    const pool = new Pool(url, { connections: OPEN_LOOP_CONNECTIONS, pipelining: 1 })
    const sent: Sent = { eventIds: [], atMs: [], refused: 0 }
    const inFlight = new Set<Promise<void>>()
    const started = nowMs()
    const send = async (index: number) => {
      const body = topics > 0 ? sign(index, 1000, { TopicArn: topicOf(index % topics) }) : messageAt(index)
      const atMs = nowMs()
      const { eventId, refused } = await post(pool, body)
      sent.refused += refused
      sent.eventIds.push(eventId)
      sent.atMs.push(atMs)
    }
    for (let done = 0; done < count; await sleep(1)) {
      for (const due = Math.min(count, ((nowMs() - started) / 1000) * rate); done < due; done++) {
        const sending = send(from + done).finally(() => inFlight.delete(sending))
        inFlight.add(sending)
      }
    }
    await Promise.all(inFlight)
    await pool.close()
    return sent
  },

  /** Sends so many alerts of one value each at a steady rate a second; what is sent of the huge alert is not in the result. */
  async alerts({ url, rate, count, hugeAlert }: AlertsOptions): Promise<Sent> {
    const pool = new Pool(url, { connections: OPEN_LOOP_CONNECTIONS, pipelining: 1 })
    const sent: Sent = { eventIds: [], atMs: [], refused: 0 }
    const underWay: Promise<unknown>[] = []
    const sendChange = (alertId: string, value: string) =>
      post(pool, JSON.stringify(publisher.notification({ message: smallChangeText(alertId, value) })))
    const send = async () => {
      const value = randomUUID()
      const atMs = nowMs()
      const { eventId, refused } = await sendChange(`small-${value}`, value)
      sent.refused += refused
      sent.eventIds.push(eventId)
      sent.atMs.push(atMs)
    }
    const started = nowMs()
    for (let done = 0; done < count; await sleep(1)) {
      for (const due = Math.min(count, ((nowMs() - started) / 1000) * rate); done < due; done++) {
        if (hugeAlert !== undefined) underWay.push(sendChange(hugeAlert, randomUUID()))
        underWay.push(send())
      }
    }
    await Promise.all(underWay)
    await pool.close()
    return sent
  },
}

export interface AlertsOptions {
  url: string
  rate: number
  count: number
  /** An alert that is updated once beside each of the others. */
  hugeAlert?: string
}

export interface ClosedLoopOptions {
  url: string
  connections: number
  from?: number
  count?: number
  seconds?: number
  /** True: sends the prepared messages repeatedly, for a target that stores nothing. */
  again?: boolean
  /** Sends rule matches instead. */
  matches?: MatchOptions | undefined
}

export interface MatchOptions {
  /** The windows that the matches are spread over in turn. */
  alerts: number
  apiKey: string
}

/** Messages answered 200, answers 503, the time until all were answered 200, and the index of the next message. */
export interface ClosedLoopResult {
  accepted: number
  refused: number
  seconds: number
  next: number
}

export interface OpenLoopOptions {
  url: string
  rate: number
  count: number
  from?: number
  topics?: number
}

function topicOf(group: number): string {
  return `arn:aws:sns:us-east-1:123456789012:group-${group}`
}

export type Load = typeof commands
serveCommands(commands)
