/** Waiting: for a bell, and for a database that is away. */
import t from 'tap'
import { createBell } from '../../../src/core/platform/bell.js'
import { Refusal } from '../../../src/core/platform/errors.js'
import { persist } from '../../../src/core/platform/persist.js'

const LONG_MS = 60_000

t.test('a ring wakes whoever waits, at once', async (t) => {
  const bell = createBell()
  const waiting = bell.wait(LONG_MS)
  bell.ring()
  await waiting
  t.notOk(bell.unheard(), 'it was heard')
})

t.test('a ring that nobody waited for is kept for the next who does, once', async (t) => {
  const bell = createBell()
  bell.ring()
  bell.ring()
  await bell.wait(LONG_MS)
  let woke = false
  const second = bell.wait(LONG_MS).then(() => (woke = true))
  await new Promise(setImmediate)
  t.notOk(woke)
  bell.ring()
  await second
})

t.test('without a ring the time ends the wait, and nothing is left behind', async (t) => {
  const bell = createBell()
  await bell.wait(1)
  t.notOk(bell.unheard())
  bell.ring()
  t.ok(bell.unheard())
  t.notOk(bell.unheard(), 'asked once, it is quiet')
  await bell.wait(0)
})

t.test('work is done again while the database is away, and its result is passed on', async (t) => {
  let tries = 0
  const result = await persist(async () => {
    if (++tries < 2) throw new Refusal('undecided', 'the database does not answer')
    return 'written'
  })
  t.same([result, tries], ['written', 2])
})

t.test('any other failure is no reason for patience', async (t) => {
  const failure = new Error('a bug')
  for (const error of [failure, new Refusal('conflict', 'it is there already')]) {
    let tries = 0
    await t.rejects(
      persist(async () => {
        tries++
        throw error
      }),
      error,
    )
    t.equal(tries, 1)
  }
})

t.test('patience ends: a database that stays away is told of', async (t) => {
  const start = performance.now()
  let [passedMs, tries] = [0, 0]
  Object.defineProperty(performance, 'now', { configurable: true, value: () => start + passedMs })
  t.teardown(() => Reflect.deleteProperty(performance, 'now'))
  await t.rejects(
    persist(async () => {
      tries++
      passedMs += 15_000
      throw new Refusal('undecided', 'the database does not answer')
    }),
    { code: 'undecided' },
  )
  t.equal(tries, 2)
})
