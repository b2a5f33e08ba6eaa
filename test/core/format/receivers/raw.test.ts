import t from 'tap'
import { renderFormat } from '../../../../src/core/format/receivers.js'
import { alertInput, storedEvent } from '../inputs.js'

t.test('the body is the message byte for byte', async (t) => {
  const raw = (payload: string, values = {}) =>
    renderFormat('raw', { ...alertInput(), event: storedEvent({ payload, ...values }) })
  t.same(raw('{ "a" : 1.0,\n"a":2 }'), { contentType: 'application/json', text: '{ "a" : 1.0,\n"a":2 }' })
  t.same(raw('"plain \\u00e9\\n"'), { contentType: 'text/plain; charset=utf-8', text: 'plain é\n' })
  t.same(raw('"\\"quoted\\""'), { contentType: 'text/plain; charset=utf-8', text: '"quoted"' })
  t.same(raw('"42"').text, '42')
  t.same(raw('"\\ud800"').text, '\ufffd')
  t.same(raw('{"webhook":{}}', { topicArn: null }).text, '{"webhook":{}}')
})
