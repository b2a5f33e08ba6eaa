/** The concurrency limiter. */
import fc from 'fast-check'
import t from 'tap'
import { createLimiter } from '../../../src/core/delivery/limiter.js'

/** The window of a webhook without attempts. */
const FIRST_WINDOW = createLimiter().available('new')

/** Takes slots until there are none. @returns how many there were */
function fill(limiter: ReturnType<typeof createLimiter>, webhookId: string): number {
  let taken = 0
  while (limiter.tryAcquire(webhookId)) taken++
  return taken
}

t.test('a new webhook has 16 slots; successes add slots, an attempt without an answer halves them', async (t) => {
  const limiter = createLimiter()
  t.equal(fill(limiter, 'a'), 16)
  for (let i = 0; i < 16; i++) limiter.release('a', 'succeeded')
  t.equal(fill(limiter, 'a'), 32)
  limiter.release('a', 'unanswered')
  for (let i = 0; i < 31; i++) limiter.release('a', 'failed')
  t.equal(fill(limiter, 'a'), 16)
})

t.test('waiters get the next free slots, first come, first served', async (t) => {
  const limiter = createLimiter()
  t.ok(await limiter.acquire('a'), 'at once when there is one')
  fill(limiter, 'a')
  const admitted: number[] = []
  const waiting = [1, 2, 3].map((n) => limiter.acquire('a').then((acquired) => acquired && admitted.push(n)))
  limiter.release('a', 'failed')
  await waiting[0]
  t.same(admitted, [1])
  // A success adds a slot.
  limiter.release('a', 'succeeded')
  await Promise.all(waiting)
  t.same(admitted, [1, 2, 3])
})

t.test('waiters of a webhook that hangs are refused soon, and other webhooks are not affected', async (t) => {
  const limiter = createLimiter()
  fill(limiter, 'hangs')
  const waiting = Promise.all([limiter.acquire('hangs'), limiter.acquire('hangs')])
  t.ok(await limiter.acquire('healthy'))
  t.same(await waiting, [false, false])
  t.equal(limiter.available('hangs'), 0)
  limiter.release('hangs', 'unanswered')
  t.equal(limiter.available('healthy'), 15)
})

t.test('webhooks that hang, however many, leave room for one that answers', async (t) => {
  for (const hanging of [100, 500, 5000]) {
    const limiter = createLimiter()
    limiter.tryAcquire('answers')
    limiter.release('answers', 'succeeded')
    for (let i = 0; i < hanging; i++) fill(limiter, `hangs-${i}`)
    t.ok(limiter.available('answers') > 0, `${hanging} hang`)
    t.ok(limiter.tryAcquire('answers'), `${hanging} hang`)
  }
})

t.test(
  'a window grows by one with each success up to its limit and is halved by each attempt without an answer, down to one',
  async (t) => {
    const limiter = createLimiter()
    t.equal(fill(limiter, 'a'), FIRST_WINDOW)
    const pass = (result: 'succeeded' | 'failed' | 'unanswered', times: number) => {
      for (let i = 0; i < times; i++) {
        limiter.tryAcquire('b')
        limiter.release('b', result)
      }
      return limiter.available('b')
    }
    t.same(
      [pass('succeeded', 1), pass('failed', 5), pass('succeeded', 7), pass('succeeded', 1000)],
      [1, 1, 8, 64 - FIRST_WINDOW].map((more) => FIRST_WINDOW + more),
    )
    t.same(
      [pass('unanswered', 1), pass('unanswered', 1), pass('unanswered', 3), pass('unanswered', 100)],
      [32, 16, 2, 1],
    )
    t.equal(fill(limiter, 'b'), 1)
    limiter.release('b', 'succeeded')
    t.equal(limiter.available('b'), 2)
    t.equal(limiter.available('a'), 0, 'the window of another webhook is unchanged')
  },
)

t.test('the number of slots in all is bounded, and no slot is lost or taken twice', async (t) => {
  const results = fc.constantFrom('succeeded' as const, 'failed' as const, 'unanswered' as const)
  const action = fc.record({ webhook: fc.nat(30), result: fc.option(results, { nil: undefined }), times: fc.nat(70) })
  fc.assert(
    fc.property(fc.array(action, { maxLength: 100 }), (actions) => {
      const limiter = createLimiter()
      const taken = new Map<string, number>()
      for (const { webhook, result, times } of actions) {
        const id = String(webhook)
        for (let i = 0; i < times; i++) {
          const held = taken.get(id) ?? 0
          const room = limiter.available(id)
          if (room < 0 || held + room > 64) return false
          if (result === undefined) {
            if (limiter.tryAcquire(id) !== room > 0) return false
            if (room > 0) taken.set(id, held + 1)
          } else if (held > 0) {
            limiter.release(id, result)
            taken.set(id, held - 1)
          }
        }
      }
      for (const [id, held] of taken) for (let i = 0; i < held; i++) limiter.release(id, 'succeeded')
      return limiter.available('new') === FIRST_WINDOW
    }),
  )
  const limiter = createLimiter()
  let inAll = 0
  for (let i = 0; i < 5000; i++) inAll += fill(limiter, String(i))
  t.ok(inAll <= 1024, `${inAll} at once`)
})
