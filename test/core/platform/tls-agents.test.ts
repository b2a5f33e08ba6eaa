import t from 'tap'
import { createTlsAgents, type TlsMaterial } from '../../../src/core/platform/tls-agents.js'

function setUp() {
  const agents: { number: number; destroyed: boolean; destroy(): Promise<void> }[] = []
  const pool = createTlsAgents(() => {
    const agent = {
      number: agents.length,
      destroyed: false,
      async destroy() {
        agent.destroyed = true
      },
    }
    agents.push(agent)
    return agent
  })
  const use = (tls: TlsMaterial | undefined, until?: Promise<void>) =>
    pool.use(
      tls,
      async (agent) => {
        await until
        return agent.number
      },
      () => -1,
    )
  return { pool, agents, use }
}

/** OpenSSL takes an authority that is none as long as it is no PEM at all: then it trusts nobody. */
const material = (n: number): TlsMaterial => ({ ca: `nobody ${n}` })

t.test('equal material shares an agent, other material does not, none is the plain one', async (t) => {
  const { use, agents } = setUp()
  t.same(await Promise.all([use(undefined), use(material(1)), use({ ...material(1) }), use(material(2))]), [0, 1, 1, 2])
  t.equal(agents.length, 3)
})

t.test('of more than 200 the least recently used go, but none that is at work', async (t) => {
  const { use, agents } = setUp()
  let release = (): void => {}
  const held = new Promise<void>((resolve) => (release = resolve))
  const working = use(material(1), held)
  for (let n = 2; n <= 200; n++) await use(material(n))
  await use(material(2))
  t.notOk(agents.some(({ destroyed }) => destroyed))
  await use(material(201))
  const gone = () => agents.filter(({ destroyed }) => destroyed).map(({ number }) => number)
  t.same(gone(), [3], 'the first is at work, the second was used again')
  release()
  t.equal(await working, 1)
  await use(material(202))
  t.same(gone(), [1, 3])
  t.equal(await use(material(3)), 203, 'what is gone is made anew')
})

t.test('work that fails is no longer at work', async (t) => {
  const { pool, use, agents } = setUp()
  const failing = pool.use(
    material(1),
    async () => {
      throw new Error('a bug')
    },
    () => -1,
  )
  await t.rejects(failing, { message: 'a bug' })
  for (let n = 2; n <= 201; n++) await use(material(n))
  t.ok(agents[1]!.destroyed)
})

t.test('material that cannot be used makes no agent', async (t) => {
  const { use, agents } = setUp()
  t.equal(await use({ cert: 'nonsense', key: 'nonsense' }), -1)
  t.equal(agents.length, 1)
})

t.test('closing destroys all, and leaves the plain one to say so', async (t) => {
  const { pool, use, agents } = setUp()
  await use(material(1))
  await pool.close()
  t.ok(agents.every(({ destroyed }) => destroyed))
  t.equal(await use(material(1)), 0)
  t.equal(agents.length, 2)
})
