import t from 'tap'
import { createGate } from '../../../src/core/delivery/gate.js'

/** Takes places until there are none. @returns how many there were */
function fill(gate: ReturnType<typeof createGate>, webhookId: string): number {
  let taken = 0
  while (gate.enter(webhookId)) taken++
  return taken
}

t.test('a new webhook has 16 places; answers give it more, silence halves them', async (t) => {
  const gate = createGate()
  t.equal(fill(gate, 'a'), 16)
  for (let i = 0; i < 16; i++) gate.leave('a', 'succeeded')
  t.equal(fill(gate, 'a'), 32)
  gate.leave('a', 'unanswered')
  for (let i = 0; i < 31; i++) gate.leave('a', 'failed')
  t.equal(fill(gate, 'a'), 16)
})

t.test('who waits gets the next place, first come, first served', async (t) => {
  const gate = createGate()
  t.ok(await gate.wait('a'), 'at once when there is one')
  fill(gate, 'a')
  const entered: number[] = []
  const waiting = [1, 2, 3].map((n) => gate.wait('a').then((isIn) => isIn && entered.push(n)))
  gate.leave('a', 'failed')
  await waiting[0]
  t.same(entered, [1])
  // a success makes one place more
  gate.leave('a', 'succeeded')
  await Promise.all(waiting)
  t.same(entered, [1, 2, 3])
})

t.test('who waits where nobody leaves is sent away soon, and others do not notice', async (t) => {
  const gate = createGate()
  fill(gate, 'hangs')
  const waiting = Promise.all([gate.wait('hangs'), gate.wait('hangs')])
  t.ok(await gate.wait('well'))
  t.same(await waiting, [false, false])
  t.equal(gate.room('hangs'), 0)
  gate.leave('hangs', 'unanswered')
  t.equal(gate.room('well'), 15)
})
