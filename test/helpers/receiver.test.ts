import t from 'tap'
import { createReceiver } from './receiver.js'

function post(url: string, body: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(url, { method: 'POST', body, headers })
}

t.test('requests are recorded in order, and responses are those of the test', async (t) => {
  const receiver = await createReceiver({
    respond: (_, count) => ({ status: count === 1 ? 500 : 201, body: `no. ${count}` }),
  })
  t.teardown(() => receiver.close())
  t.equal((await post(receiver.url, '{"n":1}', { 'webhook-id': 'evt_1', 'x-alert-relay-attempt': '2' })).status, 500)
  t.equal(await (await post(receiver.url, 'not json')).text(), 'no. 2')
  receiver.respond = async (request) => ({ status: 200, headers: { 'x-body': request.body } })
  t.equal((await post(receiver.url, '3')).headers.get('x-body'), '3')
  t.match(receiver.received, [
    { id: 'evt_1', attempt: 2, body: '{"n":1}', json: { n: 1 }, verified: false },
    { id: '', attempt: NaN, body: 'not json', json: undefined, verified: false },
    { json: 3 },
  ])
})

t.test('waitFor resolves on a number, on a predicate, and at once for requests received before', async (t) => {
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  const two = receiver.waitFor(2)
  const second = receiver.waitFor((received) => received.some(({ body }) => body === 'b'))
  await post(receiver.url, 'a')
  await post(receiver.url, 'b')
  t.equal((await two).length, 2)
  t.equal(await second, receiver.received)
  t.equal((await receiver.waitFor(1)).length, 2)
})

t.test('the timeout error of waitFor lists the received requests', async (t) => {
  const receiver = await createReceiver()
  await post(receiver.url, 'a', { 'webhook-id': 'evt_1', 'x-alert-relay-attempt': '1' })
  await t.rejects(receiver.waitFor(2, { timeoutMs: 10 }), { message: 'after 10 ms: 1 requests: evt_1 #1 unverified' })
  const waiting = t.rejects(receiver.waitFor(2), { message: /^the receiver was closed: 1 requests/ })
  await receiver.close()
  await waiting
})

t.test('a closed receiver refuses connections, and can be reopened on its port', async (t) => {
  const first = await createReceiver({ respond: () => ({ status: 200, hang: true }) })
  const hanging = t.rejects(post(first.url, 'a'))
  await first.waitFor(1)
  await first.close()
  await first.close()
  await hanging
  await t.rejects(post(first.url, 'b'))
  const again = await createReceiver({ port: first.port })
  t.teardown(() => again.close())
  t.equal(again.url, first.url)
  t.equal((await post(first.url, 'c')).status, 204)
})
