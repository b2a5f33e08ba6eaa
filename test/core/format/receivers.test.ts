/** Rules that hold for all formats. Those of one format are in receivers/, a file each. */
import t from 'tap'
import { FORMATS } from '../../../src/core/format/format-names.js'
import { renderFormat } from '../../../src/core/format/receivers.js'
import { parseJson, type JsonObject } from '../../../src/core/platform/json.js'
import { bodyOf, INPUTS, stringsOf } from './bodies.js'
import { alertInput } from './inputs.js'

const RENDERED = FORMATS.filter((format) => format !== 'template')

for (const format of RENDERED) {
  t.test(`${format}: every kind of event is valid for the receiver`, async (t) => {
    for (const [name, input] of Object.entries(INPUTS)) {
      if (format === 'raw') t.type(renderFormat(format, input).text, 'string', name)
      else t.ok(bodyOf(format, input), name)
    }
  })
}

t.test('change: the body is sent as it is, with every digit of its numbers', async (t) => {
  const input = alertInput()
  input.body = parseJson(
    '{"updated_alert":{"id":"a","match_count":12345678901234567890},"__proto__":{"x":[1]}}',
  ) as JsonObject
  const { contentType, text } = renderFormat('change', input)
  t.equal(contentType, 'application/json')
  t.equal(text, '{"updated_alert":{"id":"a","match_count":12345678901234567890},"__proto__":{"x":[1]}}')
  for (const format of ['cloudevents', 'ocsf'] as const) {
    t.match(renderFormat(format, input).text, '"match_count":12345678901234567890', format)
  }
})

t.test('the lines that are left out are counted', async (t) => {
  const context = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`key${i}`, [`value ${i}`]]))
  for (const [format, shown] of [
    ['slack', 20],
    ['teams', 20],
    ['discord', 20],
    ['jira', 60],
  ] as const) {
    t.ok(
      stringsOf(bodyOf(format, alertInput({}, context))).some((text) => text.endsWith(`and ${3000 - shown} more`)),
      format,
    )
  }
  t.match(bodyOf('pagerduty', alertInput({}, context)), { payload: { custom_details: { 'Left out': 2000 } } })
})

t.test('keys such as __proto__ are data', async (t) => {
  const input = alertInput({}, parseJson('{"__proto__":{"polluted":["yes"]},"constructor":["c"]}') as JsonObject)
  for (const format of RENDERED) {
    if (format !== 'raw') t.match(renderFormat(format, input).text, 'proto', format)
  }
  t.equal(({} as Record<string, unknown>).polluted, undefined)
})
