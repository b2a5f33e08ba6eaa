/** Retries while the database is unavailable. */
import t from 'tap'
import { Refusal } from '../../../src/core/platform/errors.js'
import { retryWhileUnavailable } from '../../../src/core/platform/retry.js'

t.test('work is repeated while the database does not answer, and its result is returned', async (t) => {
  let tries = 0
  const result = await retryWhileUnavailable(async () => {
    if (++tries < 2) throw new Refusal('undecided', 'the database does not answer')
    return 'written'
  })
  t.same([result, tries], ['written', 2])
})

t.test('any other failure is not retried', async (t) => {
  const failure = new Error('a bug')
  for (const error of [failure, new Refusal('conflict', 'it is there already')]) {
    let tries = 0
    await t.rejects(
      retryWhileUnavailable(async () => {
        tries++
        throw error
      }),
      error,
    )
    t.equal(tries, 1)
  }
})

t.test('after 20 s the failure of a database that stays away is thrown', async (t) => {
  const start = performance.now()
  let [passedMs, tries] = [0, 0]
  Object.defineProperty(performance, 'now', { configurable: true, value: () => start + passedMs })
  t.teardown(() => Reflect.deleteProperty(performance, 'now'))
  await t.rejects(
    retryWhileUnavailable(async () => {
      tries++
      passedMs += 15_000
      throw new Refusal('undecided', 'the database does not answer')
    }),
    { code: 'undecided' },
  )
  t.equal(tries, 2)
})
