import t from 'tap'
import { recallContext } from '../../../src/core/alert/alert-store.js'
import { byIdentity } from '../../../src/core/alert/context.js'
import { createAccept } from '../../../src/core/event/accept.js'
import { createKnownValues } from '../../../src/core/event/known-values.js'
import { borrowTestDatabase } from '../../helpers/backends.js'

const value = (text: string) => ({ path: ['v'], value: text })
const values = (...texts: string[]) => byIdentity(texts.map(value))

t.test('the values of a committed change are known, for its alert alone', async (t) => {
  const known = createKnownValues()
  t.same(known.unknown('a', values('x', 'x', 'y')), values('x', 'y'))
  t.ok(known.learn('a', 1n, values('x', 'y')))
  t.ok(known.learn('a', 2n, values('z')))
  t.same(known.unknown('a', values('x', 'new', 'z')), values('new'))
  t.same(known.unknown('b', values('x')), values('x'))
  known.clear()
  t.same(known.unknown('a', values('x')), values('x'))
})

t.test('a sequence that does not rise means that the alert was deleted: its values are forgotten', async (t) => {
  const known = createKnownValues()
  t.ok(known.learn('a', 7n, values('x')))
  t.notOk(known.learn('a', 7n, values('x')))
  t.same(known.unknown('a', values('x')), values('x'))
})

t.test('the number of values is bounded: the alerts with the oldest changes are forgotten', async (t) => {
  const known = createKnownValues()
  const many = (prefix: string) => byIdentity(Array.from({ length: 80_000 }, (_, i) => value(`${prefix}${i}`)))
  for (const alert of ['a', 'b', 'c']) known.learn(alert, 1n, many(alert))
  t.equal(known.unknown('a', many('a')).size, 80_000)
  t.equal(known.unknown('b', many('b')).size, 0)
  t.equal(known.unknown('c', many('c')).size, 0)
})

t.test('an alert that was deleted by hand gets all values of its next change again', async (t) => {
  const database = await borrowTestDatabase(t)
  const accept = createAccept({ database, queues: { addDispatches: async () => {} } })
  let serial = 0
  const send = (values: string[]) =>
    accept({
      messageId: `m-${++serial}`,
      topicArn: null,
      subject: undefined,
      message: JSON.stringify({ updated_alert: { id: 'a' }, incoming_rule_matches_context: { v: values } }),
      sentAt: new Date(),
    })
  await send(['x', 'y'])
  await send(['x', 'y'])
  await database.query('delete from alerts')
  const { event } = await send(['x', 'new', 'y'])
  t.equal(event.type, 'alert.created')
  const { diff } = await recallContext(database, { alertId: 'a', sequence: 1n })
  t.same(diff.map(({ value }) => value).sort(), ['new', 'x', 'y'])
  await send(['x', 'later'])
  const later = await recallContext(database, { alertId: 'a', sequence: 2n })
  t.same(later.diff, [value('later')])
})
