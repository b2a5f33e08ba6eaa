/**
 * The load of `peers`: messages of one size over HTTP to any target, as fast as they are answered or at a steady rate.
 *
 * Guarantee: every message is new and has its number in it; one that is answered 429 or 503 is sent again, like a sender that
 * keeps to the target's limits would do it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from 'undici'
import { markedText } from '../message.js'
import type { Publishing } from '../peers/target.js'
import { nowMs, serveCommands } from '../program.js'

/** More than a steady flow ever has in flight. */
const STEADY_CONNECTIONS = 256
const RETRY_MS = 100

export interface Flood {
  publishing: Publishing
  mark: string
  connections: number
  seconds: number
}

export interface Flooded {
  accepted: number
  /** Answers 429 and 503. */
  refused: number
  startedMs: number
  endedMs: number
}

export interface Steady {
  publishing: Publishing
  mark: string
  /** Messages a second. */
  rate: number
  count: number
}

function createPublish({ url, headers, before, after }: Publishing, connections: number) {
  const { origin, pathname, search } = new URL(url)
  const pool = new Pool(origin, { connections, pipelining: 1 })
  const request = {
    path: pathname + search,
    method: 'POST' as const,
    headers: { ...headers, 'content-type': 'application/json' },
  }
  return {
    /** @returns how often it was refused before it was accepted */
    async publish(mark: string, number: number): Promise<number> {
      const body = before + markedText(mark, number) + after
      for (let refused = 0; ; refused++) {
        const answer = await pool.request({ ...request, body })
        if (answer.statusCode < 300) {
          await answer.body.dump()
          return refused
        }
        const text = await answer.body.text()
        if (answer.statusCode !== 429 && answer.statusCode !== 503) {
          throw new Error(`POST ${url}: ${answer.statusCode} ${text.slice(0, 500)}`)
        }
        await sleep(RETRY_MS)
      }
    },
    close: () => pool.close(),
  }
}

const commands = {
  /** Each connection sends its next message when the last was answered, for so many seconds. */
  async flood({ publishing, mark, connections, seconds }: Flood): Promise<Flooded> {
    const { publish, close } = createPublish(publishing, connections)
    const startedMs = nowMs()
    let next = 0
    let refused = 0
    const sender = async () => {
      while (nowMs() < startedMs + seconds * 1000) refused += await publish(mark, next++)
    }
    await Promise.all(Array.from({ length: connections }, sender))
    const endedMs = nowMs()
    await close()
    return { accepted: next, refused, startedMs, endedMs }
  },
  /** Sends at a steady rate, independent of the answers. @returns when each message was first sent, by its number */
  async steady({ publishing, mark, rate, count }: Steady): Promise<number[]> {
    const { publish, close } = createPublish(publishing, STEADY_CONNECTIONS)
    const atMs: number[] = []
    const underWay: Promise<unknown>[] = []
    const started = nowMs()
    for (; atMs.length < count; await sleep(1)) {
      const due = Math.min(count, ((nowMs() - started) / 1000) * rate)
      while (atMs.length < due) {
        const number = atMs.push(nowMs()) - 1
        underWay.push(publish(mark, number))
      }
    }
    await Promise.all(underWay)
    await close()
    return atMs
  },
}

export type Publisher = typeof commands
serveCommands(commands)
