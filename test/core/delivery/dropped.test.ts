import t from 'tap'
import { dropDeliveries } from '../../../src/core/delivery/delivery-store.js'
import { testEvent } from '../../../src/core/delivery/test-delivery.js'
import { insertEvent } from '../../../src/core/event/event-store.js'
import { newId } from '../../../src/core/platform/id.js'
import { borrowTestDatabase } from '../../helpers/backends.js'

t.test('a deletion waits for no delivery whose attempt is being recorded', async (t) => {
  const database = await borrowTestDatabase(t)
  const webhookId = newId('wh')
  const ids = [newId('dlv'), newId('dlv')]
  const events = [testEvent(new Date()), testEvent(new Date())]
  for (const event of events) await insertEvent(database, event)
  await database.query(
    `insert into deliveries (id, event_id, webhook_id, status, next_attempt_at, created_at, updated_at)
     select id, event_id, $3, 'pending', now(), now(), now() from unnest($1::text[], $2::text[]) as n (id, event_id)`,
    [ids, events.map(({ id }) => id), webhookId],
  )
  if (database.kind === 'embedded') {
    // one transaction at a time: nobody can be waited for
    t.equal(await dropDeliveries(database, webhookId, new Date(), { limit: 10, skipsLocked: true }), 2)
    return
  }
  await database.transaction(async (recording) => {
    await recording.query('select from deliveries where id = $1 for update', [ids[0]])
    t.equal(await dropDeliveries(database, webhookId, new Date(), { limit: 10, skipsLocked: true }), 1)
  })
  t.equal(await dropDeliveries(database, webhookId, new Date(), { limit: 10 }), 1, 'and later the rest')
})
