import t from 'tap'
import { createReplanning } from '../../../src/core/platform/postgres.js'

t.test(
  'a connection turns JIT off, and discards its plans as its age doubles and then every five seconds',
  async (t) => {
    let nowMs = 1000
    const replan = createReplanning(() => nowMs)
    const at: number[] = []
    const client = {
      query: async (sql: string) => {
        if (nowMs === 1000) t.equal(sql, 'set jit = off')
        else at.push((nowMs - 1000) / 1000)
      },
    } as unknown as Parameters<typeof replan>[0]
    for (; nowMs <= 22_000; nowMs += 100) await replan(client)
    t.same(at, [0.5, 1, 2, 4, 8, 13, 18])
  },
)
