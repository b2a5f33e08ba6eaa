import { InMemorySpanExporter, type ReadableSpan } from '@opentelemetry/sdk-trace-node'
import { context, SpanKind, trace } from '@opentelemetry/api'
import { pino, type Logger } from 'pino'
import t, { type Test } from 'tap'
import { findEvent } from '../../../src/core/event/event-store.js'
import { SAMPLE_CHANGE } from '../../../src/core/event/sample.js'
import {
  inSpan,
  outsideTraces,
  queueTelemetry,
  startTracing,
  traceFields,
  wantsTraces,
} from '../../../src/core/platform/tracing.js'
import { createTestApp, TEST_KEY } from '../../helpers/app.js'
import { createReceiver } from '../../helpers/receiver.js'
import { createSnsPublisher, TEST_TOPIC } from '../../helpers/sns-publisher.js'
import { log, createTestWorkers } from '../../helpers/workers.js'

const FOREIGN_TRACE = '0af7651916cd43dd8448eb211c80319c'
const FOREIGN_PARENT = `00-${FOREIGN_TRACE}-b7ad6b7169203331-01`

async function startTestTracing(t: Test) {
  const exporter = new InMemorySpanExporter()
  const tracing = await startTracing({ log, exporter })
  t.teardown(() => tracing.close())
  return {
    spans: () => exporter.getFinishedSpans(),
    named: (name: string) => exporter.getFinishedSpans().filter((span) => span.name === name),
  }
}

const traceOf = (span: ReadableSpan) => span.spanContext().traceId
const parentOf = (span: ReadableSpan) => span.parentSpanContext?.spanId
const headerOf = (span: ReadableSpan) => `00-${traceOf(span)}-${span.spanContext().spanId}-01`

/** A relay, a webhook, and SNS. @param options.isWorking false: the test starts its workers */
async function relay(t: Test, { log, isWorking = true }: { log?: Logger; isWorking?: boolean } = {}) {
  const publisher = await createSnsPublisher()
  await publisher.serve()
  t.teardown(() => publisher.close())
  const app = await createTestApp(t, { SNS_TOPICS: TEST_TOPIC, SNS_EMULATOR: publisher.origin }, log)
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  if (isWorking) app.startWorkers()
  const url = `${receiver.url}/a-secret-path?token=a-secret-token`
  t.equal((await app.api('POST', '/v1/webhooks', { url })).statusCode, 201)
  return { app, publisher, receiver }
}

t.test('traces are on when the environment names a collector or an exporter, and off otherwise', async (t) => {
  t.equal(wantsTraces({}), false)
  t.equal(wantsTraces({ OTEL_EXPORTER_OTLP_ENDPOINT: ' ', OTEL_SERVICE_NAME: 'x' }), false)
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:4318' }
  t.equal(wantsTraces(endpoint), true)
  t.equal(wantsTraces({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://127.0.0.1:4318/v1/traces' }), true)
  t.equal(wantsTraces({ OTEL_TRACES_EXPORTER: 'otlp' }), true)
  t.equal(wantsTraces({ ...endpoint, OTEL_TRACES_EXPORTER: 'none' }), false)
  t.equal(wantsTraces({ ...endpoint, OTEL_SDK_DISABLED: 'true' }), false)
  t.equal(wantsTraces({ ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' }), true)
  t.throws(() => wantsTraces({ OTEL_TRACES_EXPORTER: 'zipkin' }), {
    name: 'SettingError',
    message: /OTEL_TRACES_EXPORTER/,
  })
  t.throws(() => wantsTraces({ ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }), { message: /4318/ })
})

t.test('with traces off nothing is registered, and a receiver gets no traceparent', async (t) => {
  const { publish, addWebhook, dispatch } = await createTestWorkers(t)
  const { receiver } = await addWebhook(() => ({ status: 200 }))
  const event = await publish('text')
  await dispatch({ eventId: event.id })
  t.equal(event.traceparent, null)
  t.notOk('traceparent' in receiver.received[0]!.headers)
  t.same(queueTelemetry(), {})
  t.equal(
    outsideTraces(() => 1),
    1,
  )
  const attributes = () => t.fail('attributes are not called')
  t.equal(await inSpan({ name: 'x', attributes: attributes as never }, async ({ traceparent }) => traceparent), null)
  t.notOk(trace.getTracer('x').startSpan('x').isRecording())
  const within = context.with(context.active().setValue(Symbol.for('x'), 1), () => context.active())
  t.equal(within.getValue(Symbol.for('x')), undefined, 'no context manager')
})

for (const isClaimed of [true, false]) {
  const by = isClaimed ? 'by the process that accepts it' : 'by a job'
  t.test(
    `a message of SNS, its storing, its dispatch ${by} and its attempt are one trace, which the receiver joins`,
    async (t) => {
      const { spans, named } = await startTestTracing(t)
      const { app, publisher, receiver } = await relay(t, { isWorking: isClaimed })
      const message = publisher.notification({ message: JSON.stringify(SAMPLE_CHANGE) })
      const answer = await app.sns(message, { traceparent: FOREIGN_PARENT })
      t.equal(answer.statusCode, 200, answer.body)
      const { event_id: eventId } = answer.json<{ event_id: string }>()
      if (!isClaimed) app.startWorkers()
      const [request] = await receiver.waitFor(1)
      await app.close()

      const [[intake], [stored], [added], [job], [dispatched], [attempt]] = [
        named('POST /sns'),
        named('store event'),
        named('add dispatch.dispatch'),
        named('process dispatch'),
        named('dispatch event'),
        named('POST'),
      ] as [ReadableSpan[], ReadableSpan[], ReadableSpan[], ReadableSpan[], ReadableSpan[], ReadableSpan[]]
      t.equal(job !== undefined, !isClaimed)
      const path = [intake, stored, ...(isClaimed ? [] : [added, job]), dispatched, attempt] as ReadableSpan[]
      t.same(new Set(path.map(traceOf)).size, 1, 'one trace')
      t.not(traceOf(intake!), FOREIGN_TRACE, 'an unauthenticated request does not choose its trace')
      const ids = path.map((span) => span.spanContext().spanId)
      t.same(path.map(parentOf), [undefined, ...ids.slice(0, -1)])
      t.equal(request!.headers.traceparent, headerOf(attempt!))
      t.same(attempt!.attributes, {
        'http.request.method': 'POST',
        'http.request.resend_count': 0,
        'http.response.status_code': 204,
        'url.scheme': 'http',
        'server.address': '127.0.0.1',
        'server.port': receiver.port,
        'alert_relay.event.id': eventId,
        'alert_relay.attempt.number': 1,
        'alert_relay.attempt.id': attempt!.attributes['alert_relay.attempt.id'],
      })
      t.equal(attempt!.kind, SpanKind.CLIENT)
      t.match(stored!.attributes, { 'alert_relay.event.id': eventId, 'alert_relay.result': 'stored' })
      t.match(intake!.attributes, { 'http.route': '/sns', 'url.path': '/sns', 'http.response.status_code': 200 })
      t.match(intake!.resource.attributes, { 'service.name': 'alert-relay', 'service.instance.id': /^[\da-f-]{36}$/ })

      const text = JSON.stringify(
        spans().map(({ name, attributes, events, status, links }) => ({ name, attributes, events, status, links })),
      )
      t.notMatch(text, /secret/, 'no path or query of a webhook')
      t.notMatch(text, new RegExp(SAMPLE_CHANGE.updated_alert.title), 'no content of an alert')
      t.ok(
        spans().every((span) => span.kind !== SpanKind.INTERNAL || parentOf(span)),
        'no internal spans of BullMQ',
      )
    },
  )
}

t.test('the lines of a message and of its attempts name its trace', async (t) => {
  const { named } = await startTestTracing(t)
  const lines: { msg: string; trace_id?: string }[] = []
  const write = (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[0])
  const { app, publisher, receiver } = await relay(t, {
    log: pino({ level: 'debug', mixin: () => traceFields() }, { write }),
  })
  await app.sns(publisher.notification({ message: 'text' }))
  await receiver.waitFor(1)
  await app.close()
  const traceId = traceOf(named('POST /sns')[0]!)
  for (const text of ['sns message', 'dispatched', 'attempt']) {
    t.match(
      lines.filter(({ msg }) => msg === text),
      [{ trace_id: traceId }],
      text,
    )
  }
  t.same(
    lines.filter(({ msg, trace_id: id }) => msg === 'upkeep' && id !== undefined),
    [],
    'a line without a trace names none',
  )
})

t.test('a request with a key continues its trace; the span of a refusal has its status and not its text', async (t) => {
  const { named } = await startTestTracing(t)
  const { app, publisher } = await relay(t)
  const headers = { authorization: `Bearer ${TEST_KEY}`, traceparent: FOREIGN_PARENT }
  await app.http.inject({ url: '/v1/events?alert_id=a-secret', headers })
  await app.http.inject({ url: '/v1/alerts', headers: { traceparent: FOREIGN_PARENT } })
  await app.http.inject({ url: '/healthz', headers })
  const forged = { ...publisher.notification({ message: 'text' }), Message: 'a forged text' }
  t.equal((await app.sns(forged)).statusCode, 403)
  t.equal(traceOf(named('GET /v1/events')[0]!), FOREIGN_TRACE)
  t.equal(named('GET /v1/events')[0]!.attributes['url.path'], '/v1/events')
  t.not(traceOf(named('GET /v1/alerts')[0]!), FOREIGN_TRACE)
  t.same(named('GET /healthz'), [])
  const [refused] = named('POST /sns')
  t.equal(refused!.attributes['http.response.status_code'], 403)
  t.equal(refused!.status.message, undefined)
  t.same(refused!.events, [])
})

t.test('a retry, and a dispatch that upkeep queued, join the trace of their event', async (t) => {
  const { named } = await startTestTracing(t)
  const { publish, addWebhook, dispatch, work, makeDue, database } = await createTestWorkers(t)
  const { receiver, webhook } = await addWebhook((_, count) => ({ status: count === 1 ? 500 : 200 }))
  const event = await publish('text')
  const [stored] = named('store event')
  t.equal(event.traceparent, headerOf(stored!))
  t.equal((await findEvent(database, event.id))!.traceparent, event.traceparent)

  // A job that upkeep queued has a caller of another trace.
  await inSpan({ name: 'upkeep' }, () => dispatch({ eventId: event.id }))
  await makeDue()
  await inSpan({ name: 'wake' }, () => work(webhook.id))

  const [[upkeep], [dispatched], [first, second]] = [named('upkeep'), named('dispatch event'), named('POST')]
  t.same(
    [dispatched, first, second].map((span) => traceOf(span!)),
    Array(3).fill(traceOf(stored!)),
  )
  t.equal(parentOf(dispatched!), stored!.spanContext().spanId)
  t.same(
    dispatched!.links.map(({ context: { spanId } }) => spanId),
    [upkeep!.spanContext().spanId],
    'a link leads to its caller',
  )
  t.equal(parentOf(second!), stored!.spanContext().spanId)
  t.match(first!.attributes, { 'http.response.status_code': 500, 'error.type': '500', 'alert_relay.attempt.number': 1 })
  t.match(second!.attributes, { 'http.request.resend_count': 1, 'alert_relay.attempt.number': 2 })
  t.same(
    receiver.received.map(({ headers }) => headers.traceparent),
    [headerOf(first!), headerOf(second!)],
  )
})

t.test('work that throws is a failed span without the text of the error, which is thrown on', async (t) => {
  const { named } = await startTestTracing(t)
  const error = new TypeError('a secret')
  await t.rejects(
    inSpan({ name: 'failing', parent: 'not a traceparent' }, () => Promise.reject(error)),
    error,
  )
  const [span] = named('failing')
  t.same(span!.attributes, { 'error.type': 'TypeError' })
  t.same([span!.events, span!.status], [[], { code: 2 }])
})
