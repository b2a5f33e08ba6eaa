/**
 * The flow of messages: signed notifications posted to the API processes at a steady rate, with retries, as by SNS.
 *
 * Guarantee: a message is accepted when it was answered 200, with the id of its event. One that was answered 5xx, or not
 * within 15 s, is sent again unchanged, to any of the processes, until it is accepted. At most `MAX_WAITING` messages are
 * in flight.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { SnsPublisher } from '../test/helpers/sns-publisher.js'
import { changeMessage, plainMessage } from './message.js'
import type { Expected } from './delivery-log.js'
import { between, pick, type Random } from './random.js'

export interface FlowCounts {
  sent: number
  accepted: number
  /** Answers 5xx. */
  refused: number
  /** No answer: no process listened, the connection broke, or 15 s passed. */
  unanswered: number
  /** Posts of a message after the first, also of messages already accepted. */
  repeated: number
  /** Accepted messages whose repetition was answered with another event. */
  split: number
  /** Answers 4xx, which SNS does not retry; and the bodies of some. */
  rejected: number
  rejections: string[]
}

export interface Flow {
  readonly counts: FlowCounts
  readonly accepted: readonly Expected[]
  /** Sends no new message. */
  stop(): void
  /** Resolves when every message is accepted or rejected. */
  done: Promise<void>
}

/** How long SNS waits for an answer. */
const TIMEOUT_MS = 15_000
const MAX_WAITING = 2000
const PLAIN_SHARE = 0.2
/** The part of the accepted messages that is sent once more, since SNS delivers at least once. */
const REPEAT_SHARE = 0.03
const ALERTS = 36
/** After so many changes new alerts replace the old ones, since a body grows with its alert. */
const CHANGES_OF_ALERTS = ALERTS * 400
/** One alert holds more than a body may. Its first changes bring what it holds, later ones are a small part of the flow. */
const HUGE_ALERT = { id: 'huge', changes: 16, values: 4000, share: 0.02 }

interface Message {
  text: string
  value: string | null
}

interface FlowOptions {
  publisher: SnsPublisher
  /** The API processes, up or not. */
  urls: () => string[]
  random: Random
  ratePerSecond: number
}

export function startFlow({ publisher, urls, random, ratePerSecond }: FlowOptions): Flow {
  const counts: FlowCounts = {
    sent: 0,
    accepted: 0,
    refused: 0,
    unanswered: 0,
    repeated: 0,
    split: 0,
    rejected: 0,
    rejections: [],
  }
  const accepted: Expected[] = []
  let waiting = 0
  const stopping = new AbortController()

  function newMessage(): Message {
    const number = counts.sent++
    const { value, message } = number < HUGE_ALERT.changes ? hugeChange(number) : usualMessage(number)
    return { text: JSON.stringify(publisher.notification({ message, version: pick(random, ['1', '2']) })), value }
  }

  function hugeChange(number: number) {
    const value = `value-${number}`
    return { value, message: changeMessage(HUGE_ALERT.id, value, HUGE_ALERT.values) }
  }

  function usualMessage(number: number) {
    if (random() < PLAIN_SHARE) return { value: null, message: plainMessage(number) }
    const value = `value-${number}`
    const alert = `alert-${Math.floor(number / CHANGES_OF_ALERTS)}-${Math.floor(random() * ALERTS)}`
    return { value, message: changeMessage(random() < HUGE_ALERT.share ? HUGE_ALERT.id : alert, value) }
  }

  /** Posts a message until it is answered. @returns the id of its event; undefined when it was rejected */
  async function post({ text }: Message): Promise<string | undefined> {
    for (;;) {
      const answer = await postOnce(pick(random, urls()), text)
      if (answer.status === 200) return answer.eventId
      if (answer.status >= 400 && answer.status < 500) {
        counts.rejected++
        if (counts.rejections.length < 5) counts.rejections.push(answer.text)
        return undefined
      }
      if (answer.status === 0) counts.unanswered++
      else counts.refused++
      await pause(between(random, 1000, 4000))
      counts.repeated++
    }
  }

  async function send(message: Message): Promise<void> {
    const eventId = await post(message)
    if (eventId === undefined) return
    counts.accepted++
    accepted.push({ eventId, value: message.value, acceptedMs: Date.now() })
    if (random() >= REPEAT_SHARE) return
    await pause(between(random, 0, 3000))
    counts.repeated++
    if ((await post(message)) !== eventId) counts.split++
  }

  async function run(): Promise<void> {
    const sending = new Set<Promise<void>>()
    const startedMs = performance.now()
    for (let due = 1; !stopping.signal.aborted; due++) {
      const waitMs = startedMs + (due * 1000) / ratePerSecond - performance.now()
      if (waitMs > 0) await pause(waitMs)
      if (waiting >= MAX_WAITING) continue
      waiting++
      const sent = send(newMessage()).finally(() => {
        waiting--
        sending.delete(sent)
      })
      sending.add(sent)
    }
    await Promise.all(sending)
  }

  return { counts, accepted, stop: () => stopping.abort(), done: run() }
}

interface Answer {
  /** 0 when there was no answer. */
  status: number
  eventId: string | undefined
  text: string
}

async function postOnce(url: string, text: string): Promise<Answer> {
  try {
    const answer = await fetch(`${url}/sns`, {
      method: 'POST',
      body: text,
      headers: { 'content-type': 'text/plain; charset=UTF-8', 'x-amz-sns-message-type': 'Notification' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const body = await answer.text()
    const eventId = answer.ok ? (JSON.parse(body) as { event_id?: string }).event_id : undefined
    return { status: answer.status, eventId, text: body }
  } catch {
    return { status: 0, eventId: undefined, text: '' }
  }
}
