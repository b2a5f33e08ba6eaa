/** Bodies within a limit: first whole, then what was new, then counts. */
import t from 'tap'
import { maxBodyBytes } from '../../../src/core/delivery/attempt.js'
import { formatEvent } from '../../../src/core/format/body.js'
import { createRenderer } from '../../../src/core/format/render.js'
import { parseJson, stringifyJson, type JsonObject } from '../../../src/core/platform/json.js'
import { storedEvent } from './inputs.js'

const held = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({ path: ['related', 'ip'], value: `value-${from + i}` }))
const contextOf = (count: number) => ({ related: { ip: held(count).map(({ value }) => value) } })

/** A change of an alert that holds so many values, of which so many are new. */
function changeOf({ all, isNew }: { all: number; isNew: number }) {
  const event = storedEvent({
    type: 'alert.updated',
    sequence: 2n,
    payload: stringifyJson({
      updated_alert: { id: 'a', title: 'T', severity: 'high', match_count: 3, context: contextOf(all), tables: ['t'] },
      incoming_rule_matches_context: contextOf(all),
      context_diff: contextOf(isNew),
      destination_to_alert_info: {},
    }),
  })
  return { event, body: formatEvent(event, { accumulated: held(all), diff: held(isNew, all - isNew) }).body }
}

t.test('a body is cut as little as its limit asks for, and says so', async (t) => {
  const renderer = createRenderer()
  t.teardown(() => renderer.close())
  const { event, body } = changeOf({ all: 3000, isNew: 500 })
  const rendered = async (maxBytes: number, cut: 0 | 1 | 2 = 0) => {
    const result = await renderer.render({ format: 'change' }, event, body, {}, { maxBytes, cut })
    if (!result.ok) throw new Error(result.error)
    return { ...result.outgoing, json: parseJson(result.outgoing.bytes.toString()) as JsonObject }
  }
  const whole = await rendered(1_000_000)
  t.equal(whole.cut, 0)
  t.notOk('cut' in (whole.json.relay as JsonObject))

  const news = await rendered(20_000)
  t.ok(news.bytes.length <= 20_000)
  t.match(news.json, {
    updated_alert: { id: 'a', title: 'T', tables: ['t'], context: {} },
    incoming_rule_matches_context: {},
    context_diff: { related: { ip: held(500, 2500).map(({ value }) => value) } },
    relay: { type: 'alert.updated', cut: true },
  })
  t.equal(news.bytes.toString().split('value-2999').length, 2, 'what was new is there once')

  const counts = await rendered(4096)
  t.ok(counts.bytes.length <= 4096)
  t.match(counts.json, {
    updated_alert: { id: 'a', title: 'T', severity: 'high', match_count: 3, context: {} },
    context_diff: {},
    relay: { cut: true, new_values: 500 },
  })
  t.same((await rendered(1_000_000, 1)).json, news.json, 'after a 413 it is cut, although it is within the limit')
})

t.test('a long notification is cut to its beginning', async (t) => {
  const renderer = createRenderer()
  t.teardown(() => renderer.close())
  const payload = stringifyJson({ text: 'x'.repeat(100_000) })
  const event = storedEvent({ type: 'sns.notification', alertId: null, sequence: null, payload })
  const { body } = formatEvent(event, undefined)
  const result = await renderer.render({ format: 'change' }, event, body, {}, { maxBytes: 50_000, cut: 0 })
  if (!result.ok) throw new Error(result.error)
  const { message, relay } = parseJson(result.outgoing.bytes.toString()) as { message: string; relay: JsonObject }
  t.equal(message, payload.slice(0, 16_384))
  t.equal(relay.cut, true)
})

t.test('a change that was read without its whole context is one that is cut', async (t) => {
  const { event } = changeOf({ all: 10, isNew: 2 })
  const { body } = formatEvent(event, { accumulated: undefined, diff: held(2, 8) })
  t.match(body, { updated_alert: { context: {} }, context_diff: { related: { ip: ['value-8', 'value-9'] } } })
  t.match(body.relay, { cut: true })
})

t.test('a topic takes 256 KiB with its attributes and its Subject, whatever the webhook says', async (t) => {
  const event = { id: 'evt_1', type: 'alert.created' as const, severity: 'high', alertId: 'a' }
  const limit = (url: string, own: number) => maxBodyBytes({ url, max_body_bytes: own }, event)
  t.equal(limit('https://a.example', 5_000_000), 5_000_000)
  const topic = 'arn:aws:sns:us-east-1:123456789012:t'
  const attributes = JSON.stringify({ event_id: 'evt_1', type: 'alert.created', severity: 'high', alert_id: 'a' })
  t.equal(limit(topic, 5_000_000), 256 * 1024 - attributes.length - 99)
  t.equal(limit(topic, 5000), 5000)
})
