import fc from 'fast-check'
import t from 'tap'
import type { AudienceSource } from '../../../src/core/event/audience.js'
import type { Database, Queryable } from '../../../src/core/platform/database.js'
import { matchEngine as engine } from '../../helpers/match-engine.js'
import { ruleMatch as match } from '../../helpers/rule-match.js'

/** The database, with something done before each query of a transaction. */
function watched(database: Database, onQuery: (params: readonly unknown[]) => void, onBegin = () => {}): Database {
  const on = (tx: Queryable): Queryable => ({
    async query(sql, params = []) {
      onQuery(params)
      return tx.query(sql, params)
    },
  })
  return {
    ...database,
    transaction: (work) => {
      onBegin()
      return database.transaction((tx) => work(on(tx)))
    },
  }
}

t.test('requests that arrive together share a commit and a job; those of one window make a change each', async (t) => {
  let [transactions, queries] = [0, 0]
  const wrap = (database: Database) =>
    watched(
      database,
      () => queries++,
      () => transactions++,
    )
  const { accept, queued } = await engine(t, { wrap })
  const rules = Array.from({ length: 20 }, (_, i) => `rule ${i}`)
  const answers = await Promise.all(rules.map((rule) => accept([match({ rule }, { rule })])))
  t.same(
    answers.flat().map(({ rule, type }) => [rule, type]),
    rules.map((rule) => [rule, 'alert.created']),
  )
  t.same([transactions, queries, queued.length], [1, 3, 1])
  const updates = await Promise.all([1, 2, 3].map((n) => accept([match({ n: [n] }, { rule: 'rule 0' })])))
  t.same(
    updates.flat().map(({ match_count: count, type }) => [count, type]),
    [2, 3, 4].map((n) => [n, 'alert.updated']),
  )
  t.equal(transactions, 4)
})

t.test('a request that fails, or whose key was used with another body, fails no other of its batch', async (t) => {
  const wrap = (database: Database) =>
    watched(database, (params) => {
      if (JSON.stringify(params, (_, value: unknown) => (typeof value === 'bigint' ? 0 : value)).includes('poison')) {
        throw new Error('poison')
      }
    })
  const { accept, database } = await engine(t, { wrap })
  await accept([match({ a: 1 })], 'used')
  const outcomes = await Promise.allSettled([
    accept([match({ a: 2 }, { rule: 'one' })], 'one'),
    accept([match({ a: 'poison' }, { rule: 'two' })], 'two'),
    accept([match({ a: 3 })], 'used'),
    accept([match({ a: 4 }, { rule: 'three' })]),
  ])
  t.match(outcomes, [
    { status: 'fulfilled', value: [{ match_count: 1, type: 'alert.created' }] },
    { status: 'rejected', reason: { message: 'poison' } },
    { status: 'rejected', reason: { code: 'idempotency_mismatch', status: 422 } },
    { status: 'fulfilled', value: [{ match_count: 1, type: 'alert.created' }] },
  ])
  const { rows } = await database.query<{ match_count: bigint }>('select match_count from rule_windows')
  t.same(rows, [{ match_count: 1n }, { match_count: 1n }, { match_count: 1n }])
  t.same(await database.query('select key from idempotency_keys').then(({ rowCount }) => rowCount), 2)
})

t.test('of two requests at once that have one key and other matches, one is done and one is refused', async (t) => {
  const { accept, database } = await engine(t)
  const outcomes = await Promise.allSettled(['one', 'two'].map((rule) => accept([match({ a: 1 }, { rule })], 'key')))
  t.match(outcomes, [{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'idempotency_mismatch' } }])
  t.equal((await database.query('select from events')).rowCount, 1)
})

t.test('a change that no webhook wants is stored as dispatched, unless the registry has changed', async (t) => {
  const audience = (version: bigint): AudienceSource => ({
    audience: () => ({ version, mayWant: () => false }),
    current: async () => {},
  })
  for (const [version, jobs] of [
    [0n, 0],
    [99n, 1],
  ] as const) {
    const { accept, queued, database } = await engine(t, { audience: audience(version) })
    t.match(await accept([match({ a: 1 })]), [{ type: 'alert.created' }])
    t.equal(queued.length, jobs)
    t.equal((await database.query('select from undispatched')).rowCount, jobs)
  }
})

t.test('of concurrent requests each match is counted once, and is in one change or waits', async (t) => {
  const { accept, bodyOf, database } = await engine(t)
  const request = fc.record({
    rules: fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 5 }),
    key: fc.option(fc.integer({ min: 0, max: 2 })),
    isRepeated: fc.boolean(),
  })
  let run = 0
  const holds = async (threshold: number, requests: { rules: number[]; key: number | null; isRepeated: boolean }[]) => {
    run++
    let serial = 0
    const used = new Set<number>()
    const sent = requests.flatMap(({ rules, key: given, isRepeated }) => {
      const matches = rules.map((rule) => match({ n: [serial++] }, { rule: `${run} ${rule}`, threshold }))
      const key = given === null || used.has(given) ? undefined : `${run}-${given}`
      if (given !== null) used.add(given)
      // a repeat has its key, and is sent beside the first
      return Array.from({ length: isRepeated && key !== undefined ? 2 : 1 }, () => ({ matches, key }))
    })
    const answers = await Promise.all(sent.map(({ matches, key }) => accept(matches, key)))
    const first = sent.map(({ matches }) => sent.findIndex((other) => other.matches === matches))
    t.same(
      answers,
      first.map((i) => answers[i]),
      'a repeat gets the first answer',
    )
    const alerts = answers.filter((_, i) => first[i] === i).flat()
    for (const rule of new Set(alerts.map((alert) => alert.rule))) {
      let count = 0
      for (const alert of alerts.filter((a) => a.rule === rule).sort((a, b) => a.match_count - b.match_count)) {
        const before = count
        count += alert.matches
        const type = count < threshold ? null : before < threshold ? 'alert.created' : 'alert.updated'
        t.match(alert, { match_count: count, type }, 'one request after the other')
      }
    }
    const published: unknown[] = []
    for (const { event_id: id } of alerts) {
      if (id !== null) published.push(...((await bodyOf(id)).context_diff as { n: unknown[] }).n)
    }
    const { rows } = await database.query<{ n: number }>(`select (context::json->'n'->>0)::int as n from rule_matches`)
    const all = [...published, ...rows.map(({ n }) => n)].map(Number).sort((a, b) => a - b)
    t.same(
      all,
      Array.from({ length: serial }, (_, n) => n),
    )
    await database.query('delete from rule_windows')
  }
  const requests = fc.array(request, { minLength: 1, maxLength: 12 })
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 6 }), requests, holds), { numRuns: 15 })
})
