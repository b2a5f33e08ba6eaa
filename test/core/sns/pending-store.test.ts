import t from 'tap'
import { keepPending, MAX_OF_ACCOUNT, MAX_PENDING } from '../../../src/core/sns/pending-store.js'
import { findTopic, listTopics, markApproved } from '../../../src/core/sns/topic-store.js'
import type { Database } from '../../../src/core/platform/database.js'
import { borrowTestDatabase } from '../../helpers/backends.js'

const start = Date.parse('2026-01-01T00:00:00Z')
const arnOf = (account: number, i: number) => `arn:aws:sns:us-east-1:${String(account).padStart(12, '0')}:t${i}`

/** Keeps topics, each a second after the one before. */
function keeper(database: Database) {
  let seconds = 0
  return (arn: string, subscribeUrl?: string) =>
    keepPending(database, { arn, subscribeUrl, now: new Date(start + 1000 * seconds++) })
}

async function pendingArns(database: Database): Promise<string[]> {
  const page = await listTopics(database, { status: 'pending' }, { limit: 200 })
  return page.data.map(({ arn }) => arn)
}

t.test('of one account ten topics wait, and one that waits may come again', async (t) => {
  const database = await borrowTestDatabase(t)
  const keep = keeper(database)
  for (let i = 0; i < MAX_OF_ACCOUNT; i++) t.match(await keep(arnOf(1, i)), { result: 'added', waiting: i + 1 })
  t.match(await keep(arnOf(1, 10)), { result: 'full', waiting: 10 }, 'the newest gives way, which is this one')
  t.match(await keep(arnOf(1, 3), 'https://sns/'), { result: 'kept', waiting: 10 })
  t.match(await keep(arnOf(2, 0)), { result: 'added', waiting: 11 }, 'another account has room')
})

t.test(
  'when all places are taken, the newest topic of the fullest account gives way, and of equals none',
  async (t) => {
    const database = await borrowTestDatabase(t)
    const keep = keeper(database)
    const operator = arnOf(1, 0)
    await keep(operator)
    // a stranger with ten accounts takes what he can
    for (let i = 0; i < MAX_OF_ACCOUNT; i++) {
      for (let account = 10; account < 20; account++) await keep(arnOf(account, i))
    }
    t.equal((await pendingArns(database)).length, MAX_PENDING)
    t.ok((await pendingArns(database)).includes(operator), 'the topic of an account with one stays')
    for (let i = 1; i < 9; i++) {
      const evicting = await keep(arnOf(1, i))
      t.match(evicting, { result: 'added', waiting: MAX_PENDING }, `topic ${i} of the operator`)
    }
    const arns = await pendingArns(database)
    t.equal(arns.filter((arn) => arn.includes(':000000000001:')).length, 9)
    t.equal(arns.length, MAX_PENDING)
    t.notOk(arns.includes(arnOf(18, 9)), 'a newest one of an account with ten is gone')
    t.ok(arns.includes(arnOf(18, 8)))
    for (let account = 10; account < 20; account++) {
      for (let i = 0; i < 12; i++) await keep(arnOf(account, i))
    }
    t.same(
      (await pendingArns(database)).filter((arn) => arn.includes(':000000000001:')),
      Array.from({ length: 9 }, (_, i) => arnOf(1, i)),
      'who has more or as many displaces nobody',
    )
  },
)

t.test('a hundred accounts with a topic each displace each other as little as the operator', async (t) => {
  const database = await borrowTestDatabase(t)
  const keep = keeper(database)
  for (let account = 1; account <= MAX_PENDING; account++) await keep(arnOf(account, 0))
  const before = await pendingArns(database)
  t.match(await keep(arnOf(500, 0)), { result: 'full', waiting: MAX_PENDING })
  t.same(await pendingArns(database), before)
})

t.test('concurrent strangers do not exceed the bounds', async (t) => {
  const database = await borrowTestDatabase(t)
  const keep = keeper(database)
  const kept = await Promise.all(Array.from({ length: 30 }, (_, i) => keep(arnOf(7, i))))
  t.equal(kept.filter(({ result }) => result === 'added').length, MAX_OF_ACCOUNT)
  t.equal((await pendingArns(database)).length, MAX_OF_ACCOUNT)
})

t.test('one that nothing came from while a token lives goes; an approved one is not made pending again', async (t) => {
  const database = await borrowTestDatabase(t)
  const later = new Date(start + 4 * 24 * 3600 * 1000)
  await keepPending(database, { arn: arnOf(1, 0), subscribeUrl: undefined, now: new Date(start) })
  await markApproved(database, arnOf(1, 1), new Date(start))
  t.match(await keepPending(database, { arn: arnOf(1, 1), subscribeUrl: 'https://sns/', now: later }), {
    result: 'approved',
    waiting: 0,
  })
  t.equal(await findTopic(database, arnOf(1, 0)), undefined)
  t.match(await findTopic(database, arnOf(1, 1)), { status: 'approved' })
})
