/**
 * What happens at topics, noted in memory and written to the database every few seconds: no message waits for it, and under
 * load it costs one small transaction in `INTERVAL_MS`. The first note is written at once.
 *
 * Guarantee: it holds notes of at most `MAX_TOPICS` names. Notes that cannot be written are kept for the next time.
 */
import type { FastifyBaseLogger } from 'fastify'
import type { RefusalCode } from '../platform/errors.js'
import type { Notes, Received } from './activity-store.js'

const INTERVAL_MS = 5000
/** Of refused and accepted messages each: refused ones may name any topic. The oldest note makes room. */
const MAX_TOPICS = 1000

export interface TopicActivity {
  /** Notes that a verified message of a topic was taken. @param through the ARN of the subscription, if SNS named it */
  received(topicArn: string, through: string | undefined, message: Received): void
  /** Notes that a message in the name of a topic was refused. */
  refused(topicArn: string, code: RefusalCode, at: Date): void
  /** Writes what is noted, and no more after that. */
  close(): Promise<void>
}

export interface TopicActivityOptions {
  write: (notes: Notes) => Promise<void>
  log: Pick<FastifyBaseLogger, 'warn'>
  intervalMs?: number
}

type Noted = { [Kind in keyof Notes]: Map<string, Notes[Kind] extends ReadonlyMap<string, infer Note> ? Note : never> }

export function createTopicActivity({ write, log, intervalMs = INTERVAL_MS }: TopicActivityOptions): TopicActivity {
  let noted = nothing()
  let writing: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let startedMs = -Infinity
  let isClosed = false

  function schedule(): void {
    if (writing || timer || isClosed) return
    const waitMs = startedMs + intervalMs - performance.now()
    if (waitMs <= 0) void flush()
    else timer = setTimeout(flush, waitMs).unref()
  }

  function flush(): Promise<void> {
    clearTimeout(timer)
    timer = undefined
    startedMs = performance.now()
    const notes = noted
    noted = nothing()
    writing = write(notes)
      .catch((error: unknown) => {
        log.warn({ err: error }, 'what happened at topics could not be written; it is tried again')
        noted = merged(notes, noted)
      })
      .finally(() => {
        writing = undefined
        if (!isEmpty(noted)) schedule()
      })
    return writing
  }

  return {
    received(topicArn, through, message) {
      note(noted.topics, topicArn, later(noted.topics.get(topicArn), message))
      if (through !== undefined) {
        note(noted.subscriptions, through, { topicArn, ...later(noted.subscriptions.get(through), message) })
      }
      schedule()
    },
    refused(topicArn, code, at) {
      note(noted.refused, topicArn, { code, at })
      schedule()
    },
    async close() {
      isClosed = true
      clearTimeout(timer)
      await writing
      if (!isEmpty(noted)) await flush()
    },
  }
}

function nothing(): Noted {
  return { topics: new Map(), subscriptions: new Map(), refused: new Map() }
}

function isEmpty({ topics, refused }: Noted): boolean {
  return topics.size + refused.size === 0
}

function note<Note>(notes: Map<string, Note>, name: string, value: Note): void {
  // placed anew, so that the first is the oldest
  notes.delete(name)
  notes.set(name, value)
  if (notes.size > MAX_TOPICS) notes.delete(notes.keys().next().value!)
}

function later(before: Received | undefined, { at, sentAt }: Received): Received {
  return { at, sentAt: before && before.sentAt > sentAt ? before.sentAt : sentAt }
}

function merged(older: Noted, newer: Noted): Noted {
  return {
    topics: new Map([...older.topics, ...newer.topics].slice(-MAX_TOPICS)),
    subscriptions: new Map([...older.subscriptions, ...newer.subscriptions].slice(-MAX_TOPICS)),
    refused: new Map([...older.refused, ...newer.refused].slice(-MAX_TOPICS)),
  }
}
