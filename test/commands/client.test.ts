import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { createClient } from '../../src/commands/client.js'

t.test('a relay that cannot take a request now is asked again with the same Idempotency-Key', async (t) => {
  const seen: { method: string | undefined; key: string | string[] | undefined }[] = []
  const server = createServer(({ method, headers }, response) => {
    seen.push({ method, key: headers['idempotency-key'] })
    const isTaken = seen.length % 3 === 0
    response
      .writeHead(isTaken ? 200 : 503, { 'retry-after': '0.1' })
      .end(isTaken ? '{"done":true}' : '{"detail":"busy"}')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => server.close())
  const { request } = createClient({ url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, key: 'k' })

  t.same(await request('POST', '/v1/webhooks', {}), { done: true })
  t.equal(seen.length, 3)
  t.match(seen[0]!.key, /^[0-9a-f-]{36}$/)
  t.equal(new Set(seen.map(({ key }) => key)).size, 1)

  t.same(await request('GET', '/v1/webhooks'), { done: true })
  t.same(
    seen.slice(3),
    [3, 4, 5].map(() => ({ method: 'GET', key: undefined })),
  )
})
