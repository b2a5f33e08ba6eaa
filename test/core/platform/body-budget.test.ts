import fc from 'fast-check'
import t from 'tap'
import { createBodyBudget, type OpenBody } from '../../../src/core/platform/body-budget.js'

const MAX = 10_000

t.test('open bodies hold no more than the budget, and the one that began first gives way', async (t) => {
  const refused: string[] = []
  const budget = createBodyBudget(MAX)
  const open = (name: string) => budget.open(() => refused.push(name))
  const [first, second, third] = [open('first'), open('second'), open('third')]
  first.add(3000)
  second.add(3000)
  third.add(3000)
  t.same(refused, [])
  second.add(1000)
  t.same(refused, ['first'])
  first.add(9000)
  t.ok(budget.held() < MAX, 'what still comes of it is not kept')
  second.complete()
  third.add(5000)
  t.same(refused, ['first', 'third'], 'a body that has arrived does not give way')
  second.release()
  third.release()
  t.equal(budget.held(), 0)
})

t.test('a body that alone is larger than the budget is refused', async (t) => {
  let isRefused = false
  createBodyBudget(MAX)
    .open(() => (isRefused = true))
    .add(MAX)
  t.ok(isRefused)
})

t.test('whatever comes in whatever order, the budget holds and everything is given back', async () => {
  const step = fc.tuple(
    fc.nat(9),
    fc.oneof(fc.integer({ min: 1, max: MAX / 2 }), fc.constantFrom('complete', 'release')),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const budget = createBodyBudget(MAX)
      const bodies = new Map<number, OpenBody>()
      for (const [name, action] of steps) {
        const body = bodies.get(name) ?? budget.open(() => {})
        bodies.set(name, body)
        if (typeof action === 'number') body.add(action)
        else if (action === 'complete') body.complete()
        else bodies.delete(name)
        if (action === 'release') body.release()
        if (budget.held() > MAX || budget.held() < 0) return false
      }
      for (const body of bodies.values()) body.release()
      return budget.held() === 0
    }),
  )
})
