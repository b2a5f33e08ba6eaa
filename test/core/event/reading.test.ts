import t from 'tap'
import { readMessage, readPayload, storedChange } from '../../../src/core/event/reading.js'
import { stringifyJson } from '../../../src/core/platform/json.js'
import { formatEvent } from '../../../src/core/format/body.js'
import { storedEvent } from '../format/inputs.js'

const BIG = '12345678901234567890.123'
const CHANGE = `{"updated_alert":{"id":"a1","title":"T","context":{"n":[${BIG}]}},"incoming_rule_matches_context":{"ip":["1.1.1.1"]},"context_diff":{}}`
const wrapped = (text: string, times: number): string => (times === 0 ? text : JSON.stringify(wrapped(text, times - 1)))
const withNaN = CHANGE.replace('"1.1.1.1"', '"NaN in a text, \\" Infinity", NaN, -Infinity,Infinity')

t.test('a message that is plainly meant as an alert change is one, and is stored as received', async (t) => {
  for (const [name, message, alertId = 'a1', values = ['1.1.1.1']] of [
    ['as Matano sends it', CHANGE],
    ['with a byte order mark', `\ufeff${CHANGE}`],
    ['JSON in a JSON string', wrapped(CHANGE, 1)],
    ['twice', wrapped(CHANGE, 2)],
    ['with a byte order mark, in a string', `\ufeff${wrapped(`\ufeff${CHANGE}`, 1)}`],
    ['a list of one', `[${CHANGE}]`],
    ['a list of one in a string', wrapped(` [${CHANGE}] `, 1)],
    ['NaN and Infinity', withNaN, 'a1', ['NaN in a text, " Infinity', 'NaN', '-Infinity', 'Infinity']],
    ['an integer as id', CHANGE.replace('"a1"', '7'), '7'],
    [
      'a long integer as id',
      CHANGE.replace('"a1"', '123456789012345678901234567890'),
      '123456789012345678901234567890',
    ],
    ['no context_diff', CHANGE.replace('{}}', 'null}')],
  ] as [string, string, string?, string[]?][]) {
    const { payload, change, unread } = readMessage(message)
    t.equal(change?.alertId, alertId, name)
    t.equal(unread, undefined, name)
    const texts = [...change!.values.values()].map(({ value }) => stringifyJson(value))
    t.same(texts, [BIG, ...values.map((value) => JSON.stringify(value))], name)
    t.equal(/^\s*[[{]/.test(payload) ? payload : JSON.parse(payload), message, `${name}: the payload is the message`)
    t.ok(storedChange(payload), name)
    const event = storedEvent({ payload, alertId })
    const accumulated = [...change!.values.values()]
    const { body, carried } = formatEvent(event, { accumulated, diff: [] })
    t.match(body, { updated_alert: { id: alertId, title: 'T' }, relay: { type: 'alert.created' } }, name)
    t.notOk('unread' in (body.relay as object))
    t.equal(carried.length, values.length, name)
  }
})

t.test('a message that was meant as an alert change and is none says why', async (t) => {
  const without = (key: string) => CHANGE.replace(`"${key}"`, '"other"')
  for (const [message, reason, detail] of [
    [CHANGE.slice(0, -5), 'not_json', /^it is no JSON: /],
    [wrapped(`{updated_alert: 1}`, 1), 'not_json', /^it is no JSON: /],
    [CHANGE.replaceAll('"', "'"), 'not_json', /^it is no JSON: /],
    [CHANGE.replace(BIG, '['.repeat(200) + ']'.repeat(200)), 'too_deep', /deeper than 128 levels/],
    [`[${CHANGE},${CHANGE}]`, 'several_changes', /list of 2: send each change by itself/],
    [without('updated_alert'), 'updated_alert', /updated_alert is missing/],
    [CHANGE.replace(/\{"id.*?\}\}/, '"x"'), 'updated_alert', /must be an object, and is a string/],
    [without('id'), 'alert_id', /1 to 200 printable characters, or an integer/],
    [CHANGE.replace('"a1"', '1.5'), 'alert_id', /integer/],
    [CHANGE.replace('"a1"', 'null'), 'alert_id', /integer/],
    [CHANGE.replace('a1', 'x'.repeat(201)), 'alert_id', /200/],
    [without('incoming_rule_matches_context'), 'incoming_rule_matches_context', /is missing/],
    [CHANGE.replace('{"ip":["1.1.1.1"]}', '[]'), 'incoming_rule_matches_context', /and is a list/],
    [CHANGE.replace('{}}', '[]}'), 'context_diff', /context_diff must be an object, and is a list/],
  ] as [string, string, RegExp][]) {
    const { payload, change, unread } = readMessage(message)
    t.equal(change, undefined, message)
    t.match(unread, { reason, detail }, message)
    t.notMatch(unread?.detail, /1\.1\.1\.1|T/, 'nothing of the message is quoted')
    const event = storedEvent({ type: 'sns.notification', payload, alertId: null, sequence: null })
    t.match(formatEvent(event, undefined).body, { relay: { unread: `No alert change: ${unread!.detail}.` } })
  }
})

t.test('any other message is a notification without more', async (t) => {
  for (const [message, document] of [
    ['the updated_alert is late', 'the updated_alert is late'],
    ['"a text"', '"a text"'],
    ['5', '5'],
    ['NaN', 'NaN'],
    ['', ''],
    ['\ufeff', '\ufeff'],
    ['[]', []],
    ['\ufeff{"a":1}', { a: 1 }],
    ['"{\\"a\\":1}"', { a: 1 }],
    ['{"cpu":NaN}', { cpu: 'NaN' }],
    ['{"cpu":NaNo}', '{"cpu":NaNo}'],
    [wrapped('{"a":1}', 9), wrapped('{"a":1}', 9)],
  ] as [string, unknown][]) {
    const { payload, change, unread } = readMessage(message)
    t.equal(change, undefined)
    t.equal(unread, undefined)
    t.same(readPayload(payload), { document, unread: undefined }, message)
    const event = storedEvent({ type: 'sns.notification', payload, alertId: null, sequence: null })
    t.same(JSON.parse(stringifyJson(formatEvent(event, undefined).body.message!)), document, message)
  }
})

t.test('a message of any shape is read in a time that grows with its length', async (t) => {
  for (const message of ['{"updated_alert":"\\"'.repeat(10_000), `[${'NaN,'.repeat(50_000)}`, '"\\'.repeat(100_000)]) {
    t.equal(readMessage(message).change, undefined)
  }
})
