import t from 'tap'
import { readFixtures, shown } from './shown.js'

const fixtures = await readFixtures()

for (const { name, message, expected } of fixtures) {
  t.test(`${name} is the change that its fixture says`, async (t) => {
    t.strictSame(shown(message), expected)
  })
}
