/**
 * SNS, as far as the relay can tell: signed messages, as fast as they are taken or at a steady rate.
 *
 * Promise: every message is signed, fresh and has a MessageId of its own. They are signed before they are needed, and
 * again used on another, empty database.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { createSnsPublisher } from '../../test/helpers/sns-publisher.js'
import { alertsFor, changeText } from '../message.js'
import { nowMs, serveCommands } from '../program.js'

/** What a flow sent, as columns. */
export interface Sent {
  eventIds: string[]
  atMs: number[]
  /** Answers 503: such a message was sent again, and its time is that of the first try. */
  refused: number
}

const HEADERS = { 'content-type': 'text/plain; charset=UTF-8' }
/** More than a flow ever has under way, so that none waits here. */
const FLOW_CONNECTIONS = 256
const REPEAT_MS = 100

const publisher = await createSnsPublisher()
await publisher.serve()
const signed: string[] = []

function sign(index: number, alerts: number, set: Record<string, unknown> = {}): string {
  return JSON.stringify(publisher.notification({ message: changeText(index, alerts), set }))
}

/** A prepared message, or a new one where they end. */
function messageAt(index: number): string {
  return signed[index] ?? sign(index, alertsFor(signed.length || 1000))
}

/** Sends a message until it is taken, as SNS would, only sooner; `refused` counts the 503s. */
async function post(pool: Pool, body: string): Promise<{ eventId: string; refused: number }> {
  for (let refused = 0; ; refused++) {
    const answer = await pool.request({ path: '/sns', method: 'POST', headers: HEADERS, body })
    const receipt = (await answer.body.json()) as { event_id?: string }
    if (answer.statusCode === 200) return { eventId: receipt.event_id ?? '', refused }
    if (answer.statusCode !== 503) throw new Error(`POST /sns: ${answer.statusCode} ${JSON.stringify(receipt)}`)
    await sleep(REPEAT_MS)
  }
}

const commands = {
  /** What SNS_EMULATOR must be. */
  origin: (): string => publisher.origin,
  /** Signs so many messages, if there are not as many yet. */
  prepare(count: number): void {
    while (signed.length < count) signed.push(sign(signed.length, alertsFor(count)))
  },
  /** Sends messages from `from` on, each connection one after the other, until so many or so many seconds are over. */
  async blast({
    url,
    connections,
    from = 0,
    count = Infinity,
    seconds = Infinity,
    again,
  }: BlastOptions): Promise<Blast> {
    const pool = new Pool(url, { connections, pipelining: 1 })
    const blast: Blast = { taken: 0, refused: 0, seconds: 0, next: from }
    const started = nowMs()
    const sender = async () => {
      while (blast.next < from + count && nowMs() < started + seconds * 1000) {
        const index = blast.next++
        blast.refused += (await post(pool, messageAt(again ? index % signed.length : index))).refused
        blast.taken++
      }
    }
    await Promise.all(Array.from({ length: connections }, sender))
    blast.seconds = (nowMs() - started) / 1000
    await pool.close()
    return blast
  },
  /**
   * Sends so many messages at a steady rate a second, whatever the answers take: the prepared ones from `from` on, then new
   * ones. With `topics`, new ones, to so many topics in turn (`...:group-0`, ...).
   */
  async flow({ url, rate, count, from = 0, topics = 0 }: FlowOptions): Promise<Sent> {
    const pool = new Pool(url, { connections: FLOW_CONNECTIONS, pipelining: 1 })
    const sent: Sent = { eventIds: [], atMs: [], refused: 0 }
    const underWay = new Set<Promise<void>>()
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
        const sending = send(from + done).finally(() => underWay.delete(sending))
        underWay.add(sending)
      }
    }
    await Promise.all(underWay)
    await pool.close()
    return sent
  },
}

export interface BlastOptions {
  url: string
  connections: number
  from?: number
  count?: number
  seconds?: number
  /** True: the prepared messages over and over, for what does not mind repeats. */
  again?: boolean
}

/** Messages that were answered 200, answers 503, the time until all were taken, and the message that is next. */
export interface Blast {
  taken: number
  refused: number
  seconds: number
  next: number
}

export interface FlowOptions {
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
