import t from 'tap'
import { createTestWorkers } from '../../helpers/workers.js'

t.test('a path with NUL, which PostgreSQL cannot store, keeps its event from no webhook', async (t) => {
  const { publish, dispatch, addWebhook } = await createTestWorkers(t)
  const scanner = await addWebhook(() => ({ status: 204 }), { once: { paths: ['file.hash.*'] } })
  const other = await addWebhook(() => ({ status: 204 }))
  const context = { file: { hash: { 'a\u0000b': 'c'.repeat(32) } } }
  const event = await publish(
    JSON.stringify({ updated_alert: { id: 'a', context }, incoming_rule_matches_context: context, context_diff: {} }),
  )
  await dispatch({ eventId: event.id })
  const [request] = await scanner.receiver.waitFor(1)
  t.match(request!.json, { indicators: [{ path: 'file.hash.a\ufffdb', value: 'c'.repeat(32) }] })
  t.equal((await other.receiver.waitFor(1)).length, 1)
})
