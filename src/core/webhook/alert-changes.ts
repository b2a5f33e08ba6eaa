/** The settings `coalesce` and `only_new`: which changes of an alert a webhook is sent, and how often. Pure. */
import { Type, type Static } from 'typebox'
import { DURATION_PATTERN, DURATION_WORDS, durationMs } from '../platform/duration.js'
import { patterned } from '../platform/schema.js'

/** Whether the changes of an alert that wait become one delivery, and for how long they wait while the receiver is up. */
export const Coalesce = Type.Unsafe<boolean | { every: string }>({
  type: ['boolean', 'object'],
  properties: {
    every: Type.String({
      ...patterned(DURATION_PATTERN, DURATION_WORDS),
      description: 'The interval, 1s to 1d. What waits keeps its time when this is changed.',
    }),
  },
  required: ['every'],
  additionalProperties: false,
  description:
    'True: while it is down, the changes of one alert that wait become one delivery: the latest state, everything that was new ' +
    'in any of them, and how many they are (`relay.changes`). A change that the receiver may have taken, since its answer ' +
    'was lost, is sent on its own. `{"every": "5m"}`: also while it is up, at most one delivery of an alert in so long. The first ' +
    'change is sent at once.',
  examples: [{ every: '5m' }],
})
type Coalesce = Static<typeof Coalesce>

export const OnlyNew = Type.Boolean({
  description:
    'True: of the changes of alerts it is sent only those with a value that their alert never held, a severity that rose or a ' +
    'state that changed. The others that it selects are counted in the next delivery of their alert (`relay.changes`).',
})

/** The interval of `coalesce` in milliseconds; undefined: it has none. */
export function intervalMsOf({ coalesce }: { coalesce: Coalesce }): number | undefined {
  return typeof coalesce === 'object' ? durationMs(coalesce.every) : undefined
}

/** True where what a delivery carries or counts is final only when its first attempt starts, in its delivery queue. */
export function sealsLate({ coalesce, only_new: onlyNew }: { coalesce: Coalesce; only_new: boolean }): boolean {
  return coalesce !== false || onlyNew
}

const LONGEST_INTERVAL = '1d'

/** What is wrong with an interval; undefined: nothing. */
export function intervalProblem(setting: { coalesce: Coalesce }): string | undefined {
  return (intervalMsOf(setting) ?? 0) > durationMs(LONGEST_INTERVAL)!
    ? `must be at most ${LONGEST_INTERVAL}`
    : undefined
}
