/** Messages that were meant as alert changes, from SNS to the receiver. */
import { pino } from 'pino'
import t from 'tap'
import { SAMPLE_CHANGE } from '../../src/core/event/sample.js'
import { createTestApp } from '../helpers/app.js'
import { createReceiver } from '../helpers/receiver.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'

t.test('what is nearly an alert change is a notification that says why, a warning and a count', async (t) => {
  const publisher = await createSnsPublisher()
  await publisher.serve()
  const receiver = await createReceiver()
  t.teardown(() => Promise.all([publisher.close(), receiver.close()]))
  const lines: Record<string, unknown>[] = []
  const log = pino({ level: 'info' }, { write: (line: string) => void lines.push(JSON.parse(line) as object as never) })
  const app = await createTestApp(t, { SNS_TOPICS: TEST_TOPIC, SNS_EMULATOR: publisher.origin }, log)
  app.startWorkers()
  const counted = async () => {
    const { body } = await app.http.inject({
      url: '/metrics',
      headers: { authorization: 'Bearer a-key-for-the-tests' },
    })
    return /^alert_relay_unread_messages_total\{reason="several_changes"\} (\d+)$/m.exec(body)?.[1]
  }
  t.equal(await counted(), '0', 'the first one is an increase')
  await app.api('POST', '/v1/webhooks', { url: receiver.url, event_types: ['sns.notification'] })
  const message = JSON.stringify([SAMPLE_CHANGE, SAMPLE_CHANGE])
  const envelope = publisher.notification({ message, subject: 'two at once' })
  t.match((await app.sns(envelope)).json(), { result: 'stored' })
  t.match((await app.sns(envelope)).json(), { result: 'duplicate' })
  const [received] = await receiver.waitFor(1)
  t.match(received!.json, {
    message: JSON.parse(message) as object,
    subject: 'two at once',
    relay: {
      type: 'sns.notification',
      subject: 'two at once',
      unread: 'No alert change: it is a list of 2: send each change by itself.',
    },
  })
  const said = lines.filter(({ msg }) => msg === 'sns message')
  t.match(said, [
    { level: 40, result: 'stored', unread: { reason: 'several_changes', detail: /list of 2/ } },
    { level: 30, result: 'duplicate' },
  ])
  t.equal(await counted(), '1', 'a repeat is counted once')

  t.match((await app.sns(publisher.notification({ message: `\ufeff[${JSON.stringify(SAMPLE_CHANGE)}]` }))).json(), {
    result: 'stored',
  })
  t.match((await app.api('GET', '/v1/alerts')).json(), { data: [{ id: SAMPLE_CHANGE.updated_alert.id }] })
})
