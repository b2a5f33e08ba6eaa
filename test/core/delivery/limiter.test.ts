/** The concurrency limiter and the windows of webhooks. */
import fc from 'fast-check'
import t from 'tap'
import { createLimiter, type Limiter, type Place } from '../../../src/core/delivery/limiter.js'
import { afterAttempt, FEW, FIRST_WINDOW, type AttemptResult, type Window } from '../../../src/core/delivery/window.js'

const MIB = 1024 * 1024

/** Takes places until there are none. */
function fill(limiter: Limiter, webhookId: string, bytes = 0, own: number | null = null): Place[] {
  const places: Place[] = []
  for (
    let place = limiter.tryAcquire(webhookId, bytes, own);
    place;
    place = limiter.tryAcquire(webhookId, bytes, own)
  ) {
    places.push(place)
  }
  return places
}

/** Ends attempts, which took `latencyMs`. */
function end(limiter: Limiter, webhookId: string, places: Place[], result: AttemptResult, latencyMs = 100): void {
  for (const place of places) limiter.release(webhookId, place, { result, latencyMs })
}

/** Has a receiver answer so often, while all its places are taken. @returns how many it had at last */
function serve(limiter: Limiter, webhookId: string, answers: number, latencyOf: (inFlight: number) => number): number {
  const places = fill(limiter, webhookId)
  for (let i = 0; i < answers; i++) {
    const place = places.shift()!
    limiter.release(webhookId, place, { result: 'succeeded', latencyMs: latencyOf(place.inFlight) })
    places.push(...fill(limiter, webhookId))
  }
  end(limiter, webhookId, places, 'failed')
  return places.length
}

t.test('a new webhook has 16 places; successes add places, attempts without an answer halve them', async (t) => {
  const limiter = createLimiter()
  const first = fill(limiter, 'a')
  t.equal(first.length, 16)
  end(limiter, 'a', first, 'succeeded')
  const [one, ...others] = fill(limiter, 'a')
  t.equal(others.length, 31)
  end(limiter, 'a', [one!], 'unanswered')
  end(limiter, 'a', others, 'failed')
  t.equal(fill(limiter, 'a').length, 16)
})

t.test('a receiver that takes as long as ever gets more than a thousand places in as many answers', async (t) => {
  const limiter = createLimiter()
  t.ok(serve(limiter, 'slow', 1500, () => 400) > 1000)
  t.equal(fill(limiter, 'another').length, 16)
})

t.test('one that takes longer the more it has gets no more than it can use', async (t) => {
  const limiter = createLimiter()
  // it answers 1,000 requests a second, and queues the others
  const inFlight = serve(limiter, 'queues', 10_000, (count) => Math.max(100, count))
  t.ok(inFlight >= 100 && inFlight <= 200, `${inFlight} at once`)
})

t.test('one that became slower for good gets places again', async (t) => {
  const limiter = createLimiter()
  let answers = 0
  t.ok(serve(limiter, 'a', 12_000, () => (answers++ < 1000 ? 50 : 500)) > 500)
})

t.test('a receiver that asks for fewer gets half, once for the attempts that were under way together', async (t) => {
  let nowMs = 1_000_000
  const limiter = createLimiter({ now: () => nowMs })
  serve(limiter, 'a', 100, () => 100)
  const places = fill(limiter, 'a')
  nowMs += 100
  end(limiter, 'a', places.slice(10), 'succeeded')
  const size = 10 + limiter.available('a')
  end(limiter, 'a', places.slice(0, 10), 'overloaded')
  t.equal(limiter.available('a'), Math.floor(size / 2))
})

t.test('its own limit is the bound, above and below what it would get, unless it does not answer', async (t) => {
  const limiter = createLimiter()
  end(limiter, 'wide', [limiter.tryAcquire('wide')!], 'succeeded')
  const wide = fill(limiter, 'wide', 0, 700)
  t.equal(wide.length, 700)
  t.equal(fill(limiter, 'narrow', 0, 3).length, 3)
  t.ok(fill(limiter, 'unknown', 0, 10_000).length < 64, 'those that never answered share their places')
  end(limiter, 'wide', wide, 'unanswered', 0)
  t.equal(limiter.available('wide', 700), 1)
})

t.test('waiters get the next free places, first come, first served', async (t) => {
  const limiter = createLimiter()
  t.ok(await limiter.acquire('a'), 'at once when there is one')
  const [one, two] = fill(limiter, 'a')
  const admitted: number[] = []
  const waiting = [1, 2, 3].map((n) => limiter.acquire('a').then((acquired) => acquired && admitted.push(n)))
  end(limiter, 'a', [one!], 'failed')
  await waiting[0]
  t.same(admitted, [1])
  // A success adds a place.
  end(limiter, 'a', [two!], 'succeeded')
  await Promise.all(waiting)
  t.same(admitted, [1, 2, 3])
})

t.test('waiters of a webhook that hangs are refused soon, and other webhooks are not affected', async (t) => {
  const limiter = createLimiter()
  const [one] = fill(limiter, 'hangs')
  const waiting = Promise.all([limiter.acquire('hangs'), limiter.acquire('hangs')])
  t.ok(await limiter.acquire('healthy'))
  t.same(await waiting, [undefined, undefined])
  t.equal(limiter.available('hangs'), 0)
  end(limiter, 'hangs', [one!], 'unanswered')
  t.equal(limiter.available('healthy'), 15)
})

t.test(
  'webhooks that hang, however many and however large their bodies, leave room for those that answer',
  async (t) => {
    for (const hanging of [100, 500, 5000]) {
      const limiter = createLimiter()
      end(limiter, 'answers', [limiter.tryAcquire('answers')!], 'succeeded')
      for (let i = 0; i < hanging; i++) fill(limiter, `hangs-${i}`, MIB)
      t.equal(limiter.available('answers'), 17, `${hanging} hang`)
      t.ok(fill(limiter, 'answers', MIB).length >= 10, `${hanging} hang`)
    }
  },
)

t.test('webhooks that take thousands of places leave some for a new one', async (t) => {
  const limiter = createLimiter()
  for (let i = 0; i < 20; i++) serve(limiter, `slow-${i}`, 1000, () => 400)
  for (let i = 0; i < 20; i++) fill(limiter, `slow-${i}`)
  t.equal(fill(limiter, 'new').length, 16)
})

t.test('bodies under way hold a bounded number of bytes, and a body larger than that is sent', async (t) => {
  const limiter = createLimiter()
  let bytes = 0
  for (let i = 0; i < 10; i++) {
    serve(limiter, `slow-${i}`, 500, () => 400)
    bytes += fill(limiter, `slow-${i}`, MIB).length * MIB
  }
  t.ok(bytes > 60 * MIB && bytes <= 96 * MIB, `${bytes / MIB} MiB`)
  t.ok(createLimiter().tryAcquire('large', 1024 * MIB))
})

t.test(
  'without use, a window grows to 64 with successes; attempts without an answer halve it, down to one',
  async (t) => {
    const limiter = createLimiter()
    const pass = (result: AttemptResult, times: number) => {
      for (let i = 0; i < times; i++) {
        end(limiter, 'b', [limiter.tryAcquire('b')!], result, 0)
      }
      return limiter.available('b')
    }
    t.same([pass('succeeded', 1), pass('failed', 5), pass('succeeded', 7), pass('succeeded', 1000)], [17, 17, 24, 64])
    t.same(
      [pass('unanswered', 1), pass('unanswered', 1), pass('unanswered', 3), pass('unanswered', 100)],
      [32, 16, 2, 1],
    )
    const places = fill(limiter, 'b')
    t.equal(places.length, 1)
    end(limiter, 'b', places, 'succeeded')
    t.equal(limiter.available('b'), 2)
  },
)

const anyResult = fc.constantFrom<AttemptResult>('succeeded', 'failed', 'overloaded', 'unanswered')
const anyEnd = fc.record({
  result: anyResult,
  latencyMs: fc.integer({ min: 0, max: 60_000 }),
  inFlightBefore: fc.integer({ min: 1, max: 5000 }),
  inFlight: fc.integer({ min: 1, max: 5000 }),
  nowMs: fc.integer({ min: 0, max: 1_000_000 }),
})
/** A window after any ends of attempts. */
const anyWindow = fc
  .array(anyEnd, { maxLength: 200 })
  .map((ends) => ends.reduce<Window>((window, one) => afterAttempt(window, one), FIRST_WINDOW))

t.test(
  'a window is at least 1; only a success makes it larger, by one at most, and only if half of it is used',
  async () => {
    fc.assert(
      fc.property(anyWindow, anyEnd, (window, one) => {
        const { size } = afterAttempt(window, one)
        const growth = size - window.size
        if (!(size >= 1)) return false
        if (growth > 0) {
          return one.result === 'succeeded' && growth <= 1 && (size <= FEW || one.inFlight * 2 >= window.size)
        }
        return one.result !== 'failed' || growth === 0
      }),
    )
  },
)

t.test('a rising time of answers makes a window smaller, but never smaller than 64', async () => {
  fc.assert(
    fc.property(fc.integer({ min: FEW + 1, max: 5000 }), fc.integer({ min: 2, max: 100 }), (size, factor) => {
      const window = { ...FIRST_WINDOW, size, latencyMs: 100 * factor, ownLatencyMs: 100 }
      const after = afterAttempt(window, {
        result: 'succeeded',
        latencyMs: 100 * factor,
        nowMs: 0,
        inFlightBefore: size,
        inFlight: size,
      })
      return after.size < size && after.size >= FEW
    }),
  )
})

t.test('the number of places in all is bounded, and no place is lost or taken twice', async (t) => {
  const action = fc.record({
    webhook: fc.nat(30),
    result: fc.option(anyResult, { nil: undefined }),
    times: fc.nat(70),
    bytes: fc.nat(2 * MIB),
  })
  fc.assert(
    fc.property(fc.array(action, { maxLength: 100 }), (actions) => {
      const limiter = createLimiter()
      const taken = new Map<string, Place[]>()
      for (const { webhook, result, times, bytes } of actions) {
        const id = String(webhook)
        const held = taken.get(id) ?? []
        taken.set(id, held)
        for (let i = 0; i < times; i++) {
          const room = limiter.available(id)
          if (room < 0) return false
          const place = result === undefined ? limiter.tryAcquire(id, bytes) : undefined
          if (place && room === 0) return false
          if (place) held.push(place)
          else if (result !== undefined) end(limiter, id, held.splice(-1), result)
        }
      }
      for (const [id, held] of taken) end(limiter, id, held, 'succeeded')
      return (
        limiter.available('new') === 16 && fill(limiter, 'new', MIB).length === fill(createLimiter(), 'new', MIB).length
      )
    }),
  )
  const limiter = createLimiter()
  let inAll = 0
  for (let i = 0; i < 5000; i++) inAll += fill(limiter, String(i)).length
  t.ok(inAll <= 512, `${inAll} at once that never answered`)
})
