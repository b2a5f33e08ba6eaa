import t from 'tap'
import { createOriginPools } from '../../../src/core/platform/origin-pools.js'

interface FakePool {
  name: string
  destroyed: boolean
  destroy(): Promise<void>
}

function setUp() {
  const made: FakePool[] = []
  const clock = { now: 0 }
  const pools = createOriginPools({
    create(origin) {
      const pool: FakePool = {
        name: `${origin}${made.length}`,
        destroyed: false,
        async destroy() {
          pool.destroyed = true
        },
      }
      made.push(pool)
      return pool
    },
    maxAgeMs: 60,
    now: () => clock.now,
  })
  const nameOf = async (pool: FakePool) => pool.name
  return {
    pools,
    clock,
    use: (origin: string) => pools.use(origin, nameOf),
    useFresh: (origin: string) => pools.useFresh(origin, nameOf),
    destroyed: () => made.filter((pool) => pool.destroyed).map(({ name }) => name),
  }
}

/** Work that ends when it is told to. */
function work() {
  let end = (): void => {}
  const ended = new Promise<void>((resolve) => (end = resolve))
  const task = async (pool: FakePool) => {
    await ended
    return pool.name
  }
  return { task, end: () => end() }
}

t.test('an origin has one pool until that is too old', async (t) => {
  const { use, clock, destroyed } = setUp()
  t.same([await use('a'), await use('b'), await use('a')], ['a0', 'b1', 'a0'])
  clock.now = 59
  t.equal(await use('a'), 'a0', 'however much it is used')
  clock.now = 60
  t.equal(await use('a'), 'a2')
  t.same(destroyed(), ['a0', 'b1'], 'the pools of other origins are destroyed as well')
})

t.test('a pool counts its age from its own first use', async (t) => {
  const { use, clock, destroyed } = setUp()
  await use('a')
  clock.now = 30
  await use('b')
  clock.now = 60
  t.equal(await use('b'), 'b1')
  t.same(destroyed(), ['a0'])
})

t.test('a pool at work is destroyed once its last work has ended', async (t) => {
  const { pools, use, clock, destroyed } = setUp()
  const [first, second] = [work(), work()]
  const working = [pools.use('a', first.task), pools.use('a', second.task)]
  clock.now = 60
  t.equal(await use('a'), 'a1')
  first.end()
  t.equal(await working[0], 'a0')
  t.same(destroyed(), [])
  second.end()
  t.equal(await working[1], 'a0')
  t.same(destroyed(), ['a0'])
})

t.test('work that fails has ended too', async (t) => {
  const { pools, use, clock, destroyed } = setUp()
  await t.rejects(
    pools.use('a', async () => {
      throw new Error('a bug')
    }),
    { message: 'a bug' },
  )
  clock.now = 60
  await use('a')
  t.same(destroyed(), ['a0'])
})

t.test('a fresh pool is used once and destroyed', async (t) => {
  const { use, useFresh, destroyed } = setUp()
  t.same([await use('a'), await useFresh('a'), await useFresh('a'), await use('a')], ['a0', 'a1', 'a2', 'a0'])
  t.same(destroyed(), ['a1', 'a2'])
})

t.test('destroying destroys all pools, also those at work, and later work gets a destroyed one', async (t) => {
  const { pools, use, useFresh, clock, destroyed } = setUp()
  const [old, fresh] = [work(), work()]
  const working = [pools.use('a', old.task), pools.useFresh('a', fresh.task)]
  clock.now = 60
  await use('a')
  await pools.destroy()
  t.same(destroyed(), ['a0', 'a1', 'a2'])
  await use('a')
  await useFresh('a')
  t.same(destroyed(), ['a0', 'a1', 'a2', 'a3', 'a4'])
  old.end()
  fresh.end()
  t.same(await Promise.all(working), ['a0', 'a1'])
})
