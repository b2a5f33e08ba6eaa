import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { fetchText } from '../../../src/core/platform/fetch-text.js'

t.test("LocalStack's name for itself is this machine, also without DNS; no other name is", async (t) => {
  const server = createServer((request, response) => response.end(request.headers.host))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const fetch = (host: string) => fetchText(new URL(`http://${host}:${port}/`), { timeoutMs: 10_000, maxBytes: 1024 })
  t.same(await fetch('localhost.localstack.cloud'), { status: 200, body: `localhost.localstack.cloud:${port}` })
  await t.rejects(fetch('evil.localhost.localstack.cloud.invalid'))
})
