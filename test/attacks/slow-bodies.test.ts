/** Connections that send slowly or never end. Their number, their time and their memory are bounded. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setInterval as every } from 'node:timers'
import t, { type Test } from 'tap'
import { createTestApp } from '../helpers/app.js'
import { reportCount } from '../helpers/attacks.js'
import { headOf, listen } from '../helpers/raw-request.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'
import { until } from '../helpers/until.js'

async function intakeOf(t: Test) {
  const publisher = await createSnsPublisher()
  await publisher.serve()
  t.teardown(() => publisher.close())
  const settings = { SNS_TOPICS: TEST_TOPIC, SNS_EMULATOR: publisher.origin, INTAKE_PORT: '0' }
  const app = await createTestApp(t, settings)
  return { publisher, intake: app.intake! }
}

/** Sends a message, again while the busy process says that it is under pressure. */
const post = (port: number, body: string) =>
  until(
    () => fetch(`http://127.0.0.1:${port}/sns`, { method: 'POST', body }),
    ({ headers }) => !headers.has('retry-after'),
  )

t.test('bodies that never end give way to those that arrive', async (t) => {
  const { publisher, intake } = await intakeOf(t)
  const port = await listen(intake)
  const size = 2 * 1024 * 1024
  const answers: string[] = []
  const slow = Array.from({ length: 40 }, () => connect(port, '127.0.0.1'))
  t.teardown(() => slow.forEach((socket) => socket.destroy()))
  for (const socket of slow) {
    socket.on('error', () => {})
    socket.on('data', (chunk) => answers.push(String(chunk)))
    socket.write(headOf({ host: 'relay', 'content-length': String(size), 'x-amz-sns-topic-arn': TEST_TOPIC }))
    socket.write(Buffer.alloc(size - 1, 'x'))
  }
  await until(
    async () => answers.length,
    (count) => count >= 8,
  )
  t.match(answers[0], /^HTTP\/1.1 503 [\s\S]*connection: close[\s\S]*Too many bytes of requests are under way/)
  const payload = JSON.stringify(publisher.notification({ message: 'x'.repeat(200_000) }))
  const answer = await post(port, payload)
  t.match(await answer.json(), { result: 'stored' })
  reportCount(t, slow.length, 'bodies of 2 MiB without their last byte')
})

t.test('a request that arrives a byte at a time is cut off, and messages are taken meanwhile', async (t) => {
  const { publisher, intake } = await intakeOf(t)
  const port = await listen(intake)
  const start = performance.now()
  const sockets = Array.from({ length: 300 }, (_, i) => {
    const socket = connect(port, '127.0.0.1').on('error', () => {})
    // a third each: never past the first line, within the headers, within the body
    const head = headOf({ host: 'relay', 'content-length': '2000', 'x-amz-sns-topic-arn': TEST_TOPIC })
    socket.write(i % 3 === 0 ? 'POST /s' : i % 3 === 1 ? head.slice(0, -20) : head)
    socket.resume()
    const closed = once(socket, 'close')
    return { socket, closed }
  })
  const drip = every(() => {
    for (const { socket } of sockets) if (socket.writable) socket.write('x')
  }, 500)
  t.teardown(() => clearInterval(drip))
  let taken = 0
  for (let i = 0; i < 20; i++) {
    const body = JSON.stringify(publisher.notification({ message: `message ${i}` }))
    const answer = await post(port, body)
    if (answer.status === 200) taken++
  }
  t.equal(taken, 20)
  await Promise.all(sockets.map(({ closed }) => closed))
  const seconds = (performance.now() - start) / 1000
  t.ok(seconds < 20, `all are closed after ${seconds.toFixed(1)} s`)
  reportCount(t, sockets.length, `slow requests, the last of them closed after ${seconds.toFixed(1)} s`)
})
