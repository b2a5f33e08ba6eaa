import { createHash } from 'node:crypto'
import t from 'tap'
import { isJsonObject, parseJson, stringifyJson, type Json, type JsonObject } from '../../../src/core/platform/json.js'
import { matchEngine as engine } from '../../helpers/match-engine.js'
import { ruleMatch as match } from '../../helpers/rule-match.js'

t.test('matches become changes of the same format as those of SNS, and are queued like them', async (t) => {
  const { queued, clock, accept, bodyOf } = await engine(t)
  const [created] = await accept([
    match({ file: { hash: { sha256: 'h1' } } }),
    match({ file: { hash: { sha256: 'h1' } } }),
  ])
  t.match(created, { rule: 'r', matches: 2, match_count: 2, alert_id: /^[0-9a-f-]{36}$/, type: 'alert.created' })
  const [updated] = await accept([match({ file: { hash: { sha256: 'h2' } } }, { severity: 'high' })])
  t.match(updated, { alert_id: created!.alert_id, match_count: 3, type: 'alert.updated' })
  t.same(queued, [created!.event_id, updated!.event_id])
  const body = await bodyOf(updated!.event_id)
  t.match(body, {
    updated_alert: {
      id: created!.alert_id,
      severity: 'high',
      match_count: 3,
      update_count: 1,
      context: { file: { hash: { sha256: ['h1', 'h2'] } } },
    },
    context_diff: { file: { hash: { sha256: ['h2'] } } },
    relay: { type: 'alert.updated', sequence: 2, topic_arn: null, previous_severity: 'info' },
  })
  t.notOk('upstream_context_diff' in body.relay)
  clock.now = new Date(clock.now.getTime() + 3600_000)
  const [next] = await accept([match({ file: { hash: { sha256: 'h1' } } })])
  t.equal(next!.type, 'alert.created')
  t.not(next!.alert_id, created!.alert_id, 'after the window a new alert begins')
})

t.test(
  'one request with several rules makes one change of each alert; below the threshold there is none',
  async (t) => {
    const { accept, queued } = await engine(t)
    const alerts = await accept([
      match({ a: 1 }, { rule: 'one', dedupe: 'x' }),
      match({ a: 2 }, { rule: 'two', threshold: 2 }),
      match({ a: 3 }, { rule: 'one', dedupe: 'y' }),
      match({ a: 4 }, { rule: 'one', dedupe: 'x', title: 'another title' }),
    ])
    t.match(alerts, [
      { rule: 'one', matches: 2, type: 'alert.created' },
      { rule: 'two', matches: 1, alert_id: null, event_id: null, type: null },
      { rule: 'one', matches: 1, type: 'alert.created' },
    ])
    t.equal(queued.length, 1, 'and one batch')
  },
)

t.test('matches that wait for the threshold are stored, and published with the match that reaches it', async (t) => {
  const { accept, bodyOf, database } = await engine(t)
  for (const n of [1, 2]) await accept([match({ n: [n] }, { threshold: 3 })])
  t.equal((await database.query('select 1 from rule_matches')).rowCount, 2)
  const [alert] = await accept([match({ n: [3] }, { threshold: 3 })])
  t.match(await bodyOf(alert!.event_id), { updated_alert: { match_count: 3 }, context_diff: { n: [1, 2, 3] } })
  t.equal((await database.query('select 1 from rule_matches')).rowCount, 0)
})

t.test('concurrent requests over shared rules in any order lose and repeat no match', async (t) => {
  const { accept, bodyOf, database } = await engine(t)
  const rules = ['a', 'b', 'c']
  await Promise.all(
    Array.from({ length: 20 }, (_, i) => {
      const order = i % 2 ? rules : [...rules].reverse()
      return accept(order.map((rule) => match({ n: [i] }, { rule, threshold: 5 })))
    }),
  )
  const { rows } = await database.query<{ match_count: bigint }>('select match_count from rule_windows')
  t.same(rows, [{ match_count: 20n }, { match_count: 20n }, { match_count: 20n }])
  const events = await database.query<{ id: string; alert_id: string }>(
    'select id, alert_id from events order by sequence',
  )
  t.equal(events.rowCount, 3 * 16, 'one creation with five matches, then one update each')
  const values = new Map<string, number>()
  for (const { id, alert_id: alertId } of events.rows) {
    const { n } = (await bodyOf(id)).context_diff as { n: number[] }
    values.set(alertId, (values.get(alertId) ?? 0) + n.length)
  }
  t.same([...values.values()], [20, 20, 20])
})

t.test(
  'a request repeated with its Idempotency-Key has one effect, and another body with the key is refused',
  async (t) => {
    const { accept, database } = await engine(t)
    const request = [match({ a: 1 })]
    const answers = await Promise.all(Array.from({ length: 5 }, () => accept(request, 'key-1')))
    for (const answer of answers) t.same(answer, answers[0], 'the first answer')
    t.same((await database.query('select match_count from rule_windows')).rows, [{ match_count: 1n }])
    await t.rejects(accept([match({ a: 2 })], 'key-1'), {
      code: 'idempotency_mismatch',
      status: 422,
      message: /used with another body/,
    })
    t.match(await accept([match({ a: 2 })], 'key-2'), [{ match_count: 2 }])
  },
)

t.test('a key of any shape is data, and never makes its batch something else', async (t) => {
  const { accept, bodyOf } = await engine(t)
  const nested = (depth: number): Json => (depth === 0 ? 'deep' : { k: nested(depth - 1) })
  const dotted = (parts: number) => Array.from({ length: parts }, (_, i) => `p${i}`).join('.')
  // each key is a path that goes on from the one before it, so that a list is at every level
  const staircase = Object.fromEntries(
    Array.from({ length: 100 }, (_, i) => [
      Array(i + 1)
        .fill('s')
        .join('.'),
      i,
    ]),
  )
  const nestedStaircase = Array.from({ length: 100 }, (_, i) => match({ t: nested(i) as JsonObject }))
  for (const [name, context, path] of [
    ['130 dotted parts', { [dotted(130)]: 'v' }, [dotted(130)]],
    ['100,000 dotted parts', { [dotted(100_000)]: 'v' }, [dotted(100_000)]],
    ['124 dotted parts', { [dotted(124)]: 'v' }, dotted(124).split('.')],
    ['parts that together are too deep', { [dotted(70)]: { [dotted(70)]: 'v' } }, [dotted(70), dotted(70)]],
    ['a deep value below a dotted key', { [dotted(20)]: [nested(120)] }, [dotted(20)]],
    ['a staircase', staircase, ['s']],
    ['prototypes', { __proto__x: 1, constructor: 'v', 'a.__proto__.b': 'v' }, ['constructor']],
    ['empty parts', { '..': 'v', '': 'v', 'a.': 'v' }, ['..']],
  ] as [string, JsonObject, string[]][]) {
    const batch = [match({ normal: name }, { rule: name }), match(context, { rule: name })]
    const [alert] = await accept(batch)
    t.match(alert, { matches: 2, type: 'alert.created', alert_id: String }, name)
    const body = await bodyOf(alert!.event_id)
    t.same(body.context_diff.normal, [name], name)
    t.same(body.updated_alert, { ...body.updated_alert, id: alert!.alert_id, match_count: 2 }, name)
    const found = path.reduce<Json | undefined>(
      (node, key) => (isJsonObject(node) ? node[key] : undefined),
      body.context_diff,
    )
    t.ok(Array.isArray(found), `${name}: its value is there`)
    t.same(body.context_diff, body.incoming_rule_matches_context, name)
  }
  const [alert] = await accept(nestedStaircase)
  t.match(await bodyOf(alert!.event_id), { relay: { type: 'alert.created' }, context_diff: { t: [] } })
})

t.test(
  'a repeat with its members in another order and its numbers in another spelling is the same request',
  async (t) => {
    const { accept, database } = await engine(t)
    const request = (text: string) => [match(parseJson(text) as JsonObject)]
    const first = await accept(request('{"a":1.0,"b":{"c":[12345678901234567890],"d":"x"}}'), 'key')
    t.same(await accept(request('{ "b": {"d":"x", "c":[12345678901234567890]}, "a": 1 }'), 'key'), first)
    for (const other of ['{"a":"1","b":{}}', '{"a":1.0,"b":{"c":[12345678901234567891],"d":"x"}}']) {
      await t.rejects(accept(request(other), 'key'), { code: 'idempotency_mismatch' })
    }
    t.same((await database.query('select match_count from rule_windows')).rows, [{ match_count: 1n }])
  },
)

t.test('an Idempotency-Key belongs to one API key and one route', async (t) => {
  const { accept } = await engine(t)
  const count = async (...request: Parameters<typeof accept>) => (await accept(...request))[0]!.match_count
  t.equal(await count([match({ a: 1 })], 'key'), 1)
  t.equal(await count([match({ a: 1 })], 'key', { caller: 'another key' }), 2)
  t.equal(await count([match({ a: 2 })], 'key', { route: 'POST /v1/other' }), 3, 'another body is no mismatch there')
  t.equal(await count([match({ a: 1 })], 'key'), 1, 'the first answer')
})

t.test('a request that an earlier version answered is not done again, and its key refuses nothing', async (t) => {
  const { accept, database, clock } = await engine(t)
  const matches = [match({ a: 1 })]
  const answer = [{ rule: 'r', matches: 1, match_count: 7, alert_id: 'x', event_id: null, type: null }]
  await database.query(
    'insert into idempotency_keys (key, request_digest, answer, created_at) values ($1, $2, $3, $4)',
    [
      'old',
      createHash('sha256')
        .update(stringifyJson(matches as unknown as Json))
        .digest(),
      JSON.stringify(answer),
      clock.now,
    ],
  )
  for (let i = 0; i < 2; i++) t.same(await accept(matches, 'old'), answer)
  await t.rejects(accept([match({ a: 2 })], 'old'), { code: 'idempotency_mismatch' })
  t.match(await accept([match({ a: 2 })], 'old', { caller: 'another key' }), [{ match_count: 1 }])
})
