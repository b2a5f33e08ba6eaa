import fc from 'fast-check'
import t from 'tap'
import { flattenContext } from '../../../src/core/alert/context.js'
import { reachesThreshold, takeBatch, type Batch, type RuleWindow } from '../../../src/core/alert/engine.js'
import type { RuleMatch, Severity } from '../../../src/core/alert/rule-match.js'
import type { JsonObject } from '../../../src/core/platform/json.js'
import { ruleMatch as match } from '../../helpers/rule-match.js'

const START = new Date('2026-01-01T00:00:00.000Z')
const after = (minutes: number) => new Date(START.getTime() + minutes * 60_000)

/** Applies batches to one window, one after the other; waiting contexts are stored as window-store.ts stores them. */
function run(batches: { at: number; matches: RuleMatch[] }[]) {
  let window: RuleWindow | undefined
  let waiting: JsonObject[] = []
  return batches.map(({ at, matches }, i) => {
    const batch = matches as unknown as Batch
    const reaches = reachesThreshold(batch, window, after(at))
    const step = takeBatch(batch, { window, waiting: reaches ? waiting : [] }, after(at), `alert-${i}`)
    waiting = [...(step.settles ? [] : waiting), ...step.waiting]
    window = step.window
    return step
  })
}

interface Change {
  updated_alert: {
    id: string
    severity: Severity
    tables: string[]
    match_count: number
    update_count: number
    title: string
    creation_time: string
  }
  incoming_rule_matches_context: JsonObject
}
const changeOf = (step: { change: JsonObject | undefined }) => step.change as unknown as Change

t.test('the first match creates an alert, and later ones update it until its window ends', async (t) => {
  const steps = run([
    { at: 0, matches: [match({ a: 1 }), match({ a: 2 })] },
    { at: 59, matches: [match({ a: 3 })] },
    { at: 60, matches: [match({ a: 4 })] },
  ])
  t.same(
    steps.map((step) => {
      const { id, match_count: matches, update_count: updates } = changeOf(step).updated_alert
      return [id, matches, updates]
    }),
    [
      ['alert-0', 2, 0],
      ['alert-0', 3, 1],
      ['alert-2', 1, 0],
    ],
    'the window is fixed from the first match; after it the same key gets a new alert id',
  )
  t.match(changeOf(steps[0]!).updated_alert, { title: 'r', severity: 'info', creation_time: START.toISOString() })
})

t.test(
  'the threshold counts the whole window, and the batch that reaches it publishes every match of the window',
  async (t) => {
    const matches = (n: number) => [match({ n: [n] }, { threshold: 3 })]
    const steps = run([
      { at: 0, matches: matches(1) },
      { at: 10, matches: matches(2) },
      { at: 20, matches: [...matches(3), ...matches(4)] },
      { at: 30, matches: matches(5) },
    ])
    t.same(
      steps.map(({ change }) => change !== undefined),
      [false, false, true, true],
    )
    t.match(changeOf(steps[2]!), {
      updated_alert: { id: 'alert-0', match_count: 4, update_count: 0 },
      incoming_rule_matches_context: { n: [1, 2, 3, 4] },
    })
    t.match(changeOf(steps[3]!), {
      updated_alert: { match_count: 5, update_count: 1 },
      incoming_rule_matches_context: { n: [5] },
    })
  },
)

t.test('the creation time is when the threshold was reached, in every change', async (t) => {
  const steps = run([0, 20, 30].map((at) => ({ at, matches: [match({ n: [at] }, { threshold: 2 })] })))
  t.same(
    steps.map(({ change }) => change && changeOf({ change }).updated_alert.creation_time),
    [undefined, after(20).toISOString(), after(20).toISOString()],
  )
})

t.test('a window that an earlier version made active keeps its creation time', async (t) => {
  const [{ window }] = run([{ at: 0, matches: [match({ n: [1] })] }]) as [ReturnType<typeof takeBatch>]
  const { creation_time: _, ...alert } = window.alert
  const step = takeBatch([match({ n: [2] })], { window: { ...window, alert }, waiting: [] }, after(5), 'unused')
  t.match(changeOf(step).updated_alert, { creation_time: START.toISOString(), update_count: 1 })
})

t.test('until the threshold is reached, threshold and window are those of the newest match', async (t) => {
  const n = (at: number, threshold: number, minutes: number) => ({
    at,
    matches: [match({ n: [at] }, { threshold, deduplication_window_minutes: minutes })],
  })
  const counts = (batches: Parameters<typeof run>[0]) =>
    run(batches).map(({ change, window: { alertId, matchCount } }) => [alertId, matchCount, change !== undefined])
  t.same(
    counts([n(0, 10, 60), n(1, 2, 60), n(2, 50, 60)]),
    [
      ['alert-0', 1, false],
      ['alert-0', 2, true],
      ['alert-0', 3, true],
    ],
    'a lower threshold counts at once; an active alert stays one',
  )
  t.same(
    counts([n(0, 3, 60), n(90, 3, 120), n(100, 3, 120), n(119, 3, 10), n(120, 3, 120)]),
    [
      ['alert-0', 1, false],
      ['alert-0', 2, false],
      ['alert-0', 3, true],
      ['alert-0', 4, true],
      ['alert-4', 1, false],
    ],
    'a longer window counts from the first match, and stays as it was when the threshold was reached',
  )
  t.same(
    counts([n(0, 2, 60), n(15, 2, 10)]),
    [
      ['alert-0', 1, false],
      ['alert-1', 1, false],
    ],
    'a shorter window has ended',
  )
  const mixed = run([{ at: 0, matches: [...n(0, 5, 60).matches, ...n(0, 2, 60).matches] }])
  t.match(changeOf(mixed[0]!).updated_alert, { match_count: 2 }, 'the last of a batch is the newest')
})

t.test('a window that ends below its threshold publishes nothing', async (t) => {
  const steps = run([
    { at: 0, matches: [match({ n: 1 }, { threshold: 2 })] },
    { at: 60, matches: [match({ n: 2 }, { threshold: 2 })] },
    { at: 61, matches: [match({ n: 3 }, { threshold: 2 })] },
  ])
  t.same(
    steps.map(({ change }) => change !== undefined),
    [false, false, true],
  )
  t.match(changeOf(steps[2]!), {
    updated_alert: { id: 'alert-1', match_count: 2 },
    incoming_rule_matches_context: { n: [2, 3] },
  })
})

t.test(
  'the severity only rises, and the change has the one before; title and destinations stay, tables are added',
  async (t) => {
    const steps = run([
      { at: 0, matches: [match({}, { severity: 'medium', title: 'first', destinations: ['slack'], table: 'a' })] },
      { at: 1, matches: [match({}, { severity: 'low', title: 'second', destinations: [], table: 'b' })] },
      { at: 2, matches: [match({}, { severity: 'critical', table: 'a' })] },
      { at: 3, matches: [match({}, { severity: 'high' })] },
    ])
    t.same(
      steps.map((step) => changeOf(step).updated_alert.severity),
      ['medium', 'medium', 'critical', 'critical'],
    )
    t.same(
      steps.map(({ previousSeverity }) => previousSeverity),
      [undefined, undefined, 'medium', undefined],
    )
    t.match(changeOf(steps[3]!).updated_alert, { title: 'first', destinations: ['slack'], tables: ['a', 'b'] })
    t.same(changeOf(steps[1]!).incoming_rule_matches_context, { matano: { table: ['b'] } })
  },
)

t.test('every match is counted in one window and summarized in one change, or waits', async () => {
  const batches = fc.array(fc.record({ gap: fc.integer({ min: 0, max: 25 }), size: fc.integer({ min: 1, max: 4 }) }), {
    minLength: 1,
    maxLength: 12,
  })
  fc.assert(
    fc.property(batches, fc.integer({ min: 1, max: 5 }), (made, threshold) => {
      let at = 0
      let serial = 0
      const steps = run(
        made.map(({ gap, size }) => {
          at += gap
          const matches = Array.from({ length: size }, () => match({ n: [serial++] }, { threshold }))
          return { at, matches }
        }),
      )
      const published = steps.flatMap(({ change }) =>
        change
          ? flattenContext(changeOf({ change }).incoming_rule_matches_context).map(({ value }) => value as number)
          : [],
      )
      const counts = new Map<string, number>()
      for (const { window } of steps) counts.set(window.alertId, window.matchCount)
      const counted = [...counts.values()].reduce((sum, count) => sum + count, 0)
      return new Set(published).size === published.length && counted === serial
    }),
  )
})
