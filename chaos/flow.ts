/**
 * SNS: posts signed notifications to the API processes at a steady rate, as SNS does.
 *
 * Promise: a message is accepted when it was told 200, with the event it became; one that was told 5xx, or nothing within
 * 15 s, comes again unchanged, later and to whichever process, until it is accepted. So much is under way and no more.
 */
import { setTimeout as pause } from 'node:timers/promises'
import type { SnsPublisher } from '../test/helpers/sns-publisher.js'
import { changeMessage, plainMessage } from './change.js'
import type { Expected } from './ledger.js'
import { between, pick, type Random } from './random.js'

export interface FlowCounts {
  sent: number
  accepted: number
  /** Answers 5xx. */
  refused: number
  /** No answer: nobody listened, the connection broke, or 15 s passed. */
  unanswered: number
  /** Posts that repeated a message, those of messages that were accepted already included. */
  repeated: number
  /** Accepted messages that a repeat was answered another event for. */
  split: number
  /** What SNS never repeats: answers 4xx, some of them in words. */
  rejected: number
  rejections: string[]
}

export interface Flow {
  readonly counts: FlowCounts
  readonly accepted: readonly Expected[]
  /** Nothing new from here on. */
  stop(): void
  /** When every message is accepted, or rejected. */
  done: Promise<void>
}

/** SNS waits so long for an answer. */
const PATIENCE_MS = 15_000
const MAX_WAITING = 2000
const PLAIN_SHARE = 0.2
/** So many of a hundred accepted messages come once more: SNS promises at least once, too. */
const AGAIN_SHARE = 0.03
const ALERTS = 36
/** Alerts get so many changes, then others come: bodies hold all that an alert ever held. */
const CHANGES_OF_ALERTS = 36 * 400

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
    const isPlain = random() < PLAIN_SHARE
    const alert = `alert-${Math.floor(number / CHANGES_OF_ALERTS)}-${Math.floor(random() * ALERTS)}`
    const value = isPlain ? null : `value-${number}`
    const message = value === null ? plainMessage(number) : changeMessage(alert, value)
    return { text: JSON.stringify(publisher.notification({ message, version: pick(random, ['1', '2']) })), value }
  }

  /** The event that it became; undefined when it is never to be repeated. */
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
    accepted.push({ eventId, value: message.value })
    if (random() >= AGAIN_SHARE) return
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
  /** 0: none. */
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
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    const body = await answer.text()
    const eventId = answer.ok ? (JSON.parse(body) as { event_id?: string }).event_id : undefined
    return { status: answer.status, eventId, text: body }
  } catch {
    return { status: 0, eventId: undefined, text: '' }
  }
}
