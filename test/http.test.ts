import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { createTestApp } from './helpers/app.js'

/** Blocks the event loop. */
function block(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
}

t.test('a process that was blocked for a moment refuses no request', async (t) => {
  const app = await createTestApp(t)
  for (let i = 0; i < 3; i++) {
    block(1200)
    await turn()
    await turn()
    t.equal((await app.api('GET', '/v1/webhooks')).statusCode, 200)
  }
})

t.test('a process that lags for seconds responds with 503 and Retry-After', async (t) => {
  const app = await createTestApp(t)
  let answer = await app.http.inject({ method: 'POST', url: '/sns', payload: '{}' })
  for (let turns = 0; answer.statusCode !== 503 && turns < 12; turns++) {
    block(1200)
    await turn()
    await turn()
    answer = await app.http.inject({ method: 'POST', url: '/sns', payload: '{}' })
  }
  t.match(answer.json(), { status: 503, type: 'urn:alert-relay:problem:undecided' })
  t.equal(answer.headers['retry-after'], '5')
  t.equal((await app.http.inject({ url: '/healthz' })).statusCode, 200, 'it lives')
})
