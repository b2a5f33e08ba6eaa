/**
 * The own sources of this process: a copy of the enabled ones, and what they say of a message.
 *
 * Guarantee: a message that none of them matches costs the comparison alone, without waiting for anything. A mapping that fails
 * is a result that says so; where it could not be evaluated for a reason of our own, nothing is known of the message.
 * A change of sources is known at once to the process that makes it, and to all others within `WATCH_MS` and a query.
 */
import type { Logger } from 'pino'
import { matchesPolicy } from '../filter/match.js'
import { parseFilterPolicy, type FilterPolicy } from '../filter/policy.js'
import { messageOf, Refusal } from '../platform/errors.js'
import { parseJson, type Json, type JsonObject } from '../platform/json.js'
import { createEvaluator, type Evaluator, type EvaluatorBounds } from '../platform/jsonata.js'
import { occasionally } from '../platform/occasionally.js'
import type { Queryable } from '../platform/queryable.js'
import { storable } from '../platform/text.js'
import { matchesTopic } from '../platform/topic-pattern.js'
import { mappedChanges } from './mapping.js'
import type { OwnSource } from './own-source.js'
import { readEnabledSources, readSourcesVersion } from './own-source-store.js'
import { repeated } from './part.js'
import { envelopeOf, type Recognised, type UnreadMessage } from './recognise.js'

/** What the sources read of a message; undefined when each leaves it to others. */
export type OwnReading = Recognised | UnreadMessage | undefined

/** Where a message came from and when it was sent, which is its `$now()`. */
export interface Origin {
  topicArn: string | null
  sentAt: Date
}

export interface OwnSources {
  /**
   * @returns undefined at once when no source matches the message
   * @throws Refusal 'undecided' when a mapping could not be evaluated now
   */
  read(message: Json, origin: Origin): Promise<OwnReading> | undefined
  /** What a source says of a message that it matches, evaluated apart from those of `read`. @throws as `read` does */
  test(source: Pick<OwnSource, 'name' | 'mapping'>, message: Json, sentAt: Date): Promise<OwnReading>
  /** Reads the sources again if they have changed. */
  refresh(): Promise<void>
  /** Refreshes from now on, until it is closed. @param log is told of failures, once a minute; the copy stays as it is */
  watch(log: Pick<Logger, 'warn'>): void
  close(): void
}

/** Five times that of a template, which is tried again: a busy machine must not make a notification of an alert. */
const BOUNDS = { timeoutMs: 1000 }
/** Tests that may wait. */
const MAX_WAITING_TESTS = 20
const WATCH_MS = 1000
const WARNING_EVERY_MS = 60_000

interface Matcher {
  source: OwnSource
  policy: FilterPolicy
}

export interface OwnSourcesOptions {
  database: Queryable
  bounds?: Partial<EvaluatorBounds>
}

export function createOwnSources({ database, bounds }: OwnSourcesOptions): OwnSources {
  const mappings = createEvaluator('mapping', { ...BOUNDS, ...bounds })
  const tests = createEvaluator('mapping', { ...BOUNDS, maxWaiting: MAX_WAITING_TESTS, ...bounds })
  let known: { version: bigint; matchers: readonly Matcher[] } = { version: -1n, matchers: [] }
  let timer: NodeJS.Timeout | undefined

  async function refresh(): Promise<void> {
    // the version is read first, so that the sources read afterwards are at least as new
    const version = await readSourcesVersion(database)
    if (version <= known.version) return
    const sources = await readEnabledSources(database)
    const matchers = sources.map((source) => ({ source, policy: parseFilterPolicy(source.filter) }))
    if (version > known.version) known = { version, matchers }
  }

  return {
    read(message, { topicArn, sentAt }) {
      const matching = known.matchers.filter((matcher) => matches(matcher, message, topicArn))
      if (matching.length === 0) return undefined
      return firstReading(
        mappings,
        matching.map(({ source }) => source),
        message,
        sentAt,
      )
    },
    test: (source, message, sentAt) => readingOf(tests, source, message, sentAt),
    refresh,
    watch(log) {
      const mayWarn = occasionally(WARNING_EVERY_MS)
      let isReading = false
      timer = setInterval(() => {
        if (isReading) return
        isReading = true
        refresh()
          .catch((error: unknown) => {
            if (mayWarn()) log.warn({ detail: messageOf(error) }, 'sources cannot be read; those known are used')
          })
          .finally(() => (isReading = false))
      }, WATCH_MS).unref()
    },
    close() {
      clearInterval(timer)
      mappings.close()
      tests.close()
    },
  }
}

/** `{}` is no filter: it lets through texts and lists too, which no other filter matches. */
export function matchesFilter(filter: JsonObject, policy: FilterPolicy, message: Json): boolean {
  return Object.keys(filter).length === 0 || matchesPolicy(policy, message)
}

function matches({ source: { topics, filter }, policy }: Matcher, message: Json, topicArn: string | null): boolean {
  const isOfTopic = topics.length === 0 || (topicArn !== null && matchesTopic(topics, topicArn))
  return isOfTopic && matchesFilter(filter, policy, message)
}

/**
 * The reading of the first source that has one. A failed mapping ends the search: the message would else be another source's,
 * with another alert, for as long as the mapping fails.
 */
async function firstReading(
  evaluator: Evaluator,
  sources: readonly OwnSource[],
  message: Json,
  sentAt: Date,
): Promise<OwnReading> {
  for (const source of sources) {
    const reading = await readingOf(evaluator, source, message, sentAt)
    if (reading) return reading
  }
  return undefined
}

async function readingOf(
  evaluator: Evaluator,
  { name, mapping }: Pick<OwnSource, 'name' | 'mapping'>,
  message: Json,
  sentAt: Date,
): Promise<OwnReading> {
  const failed = (why: string) => ({
    source: name,
    unread: `the mapping of the source ${name} failed: ${storable(why)}`,
  })
  const answer = await evaluator.evaluate({ expression: mapping, input: message, now: sentAt })
  if (!answer.ok) {
    if (!answer.isOurs) return failed(answer.error)
    throw new Refusal(
      'undecided',
      `The mapping of a source could not be evaluated now (${answer.error}); send it again.`,
    )
  }
  const result = resultOf(answer.text)
  if ('wrong' in result) return failed(result.wrong)
  const mapped = mappedChanges(name, result.value)
  if ('wrong' in mapped) return failed(mapped.wrong)
  const { changes, given } = mapped
  if (changes.length === 0) return undefined
  const envelopeId = envelopeOf(message)?.envelope.id
  return { source: name, changes, messages: repeated(message, given), unread: undefined, envelopeId }
}

function resultOf(text: string | undefined): { value: Json | undefined } | { wrong: string } {
  if (text === undefined) return { value: undefined }
  try {
    return { value: parseJson(text) }
  } catch {
    return { wrong: 'its result nests too deep' }
  }
}
