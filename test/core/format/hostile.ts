/** Generated events whose texts are hostile: markup, control characters and extreme lengths. */
import fc from 'fast-check'
import { renderFormat } from '../../../src/core/format/receivers.js'
import { parseJson, type Json, type JsonObject } from '../../../src/core/platform/json.js'
import { bodyOf, type Rendering } from './bodies.js'
import { alertInput, findingInput, noticeInput, notificationInput } from './inputs.js'

const MARKUP = [
  '<!channel>',
  '<!here|x>',
  '<@U123>',
  '@everyone',
  '<@&1>',
  '<https://evil.example|Sign in>',
  '[Sign in](https://evil.example)',
  '*b* _i_ ~s~ `c` ||spoiler||',
  '# h\n- list\n> quote\n1. one',
  '```',
  '&lt;!channel&gt;',
  '<at>All</at>',
  '{{DATE(2020-01-01T00:00:00Z)}}',
  '\u202egpj.exe',
  '\u0000\u001b[31m',
  '\u2028',
  '\ud800',
  '\udc00x',
  '\u{1f600}',
  '\ufffe',
  '"},{"',
  '\\',
  '\\u0000',
  '{"a":1}',
  '   ',
  '',
  '__proto__',
  ':smile:',
  'https://evil.example',
]
/** Any text: arbitrary code units, markup, and up to 10,000 characters of one markup. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit))).map((units) => units.join('')),
  fc.array(fc.constantFrom(...MARKUP), { maxLength: 6 }).map((parts) => parts.join('')),
  fc
    .tuple(fc.constantFrom(...MARKUP, 'x', '&', '<', '_', '漢'), fc.constantFrom(300, 3001, 10_000))
    .map(([part, length]) => part.repeat(Math.ceil(length / (part.length || 1))).slice(0, length)),
)
const key = fc.oneof(fc.constantFrom('__proto__', 'constructor', '', 'a.b', 'source', 'ip', 'user', 'name'), hostile)
const leaf = fc.array(fc.oneof(hostile, fc.integer(), fc.boolean(), fc.constant({ nested: ['<!channel>'] })), {
  minLength: 1,
  maxLength: 4,
})
const entries = fc.array(fc.tuple(key, fc.oneof(leaf, fc.tuple(key, leaf))), { maxLength: 60 })
const context = entries.map((pairs) => {
  const object = parseJson('{}') as JsonObject
  const define = (at: JsonObject, name: string, value: Json) =>
    Object.defineProperty(at, name, { value, enumerable: true, configurable: true, writable: true })
  for (const [name, value] of pairs) {
    const nested = value.length === 2 && typeof value[0] === 'string' && Array.isArray(value[1])
    define(object, name, nested ? define({}, value[0] as string, value[1] as Json) : (value as Json))
  }
  return object
})
const anyInput = fc.oneof(
  fc
    .record({
      title: hostile,
      severity: hostile,
      runbook: fc.oneof(
        hostile,
        hostile.map((text) => `https://x.example/${text}`),
      ),
      tables: fc.array(hostile, { maxLength: 9 }),
    })
    .chain((alert) =>
      fc.tuple(
        fc.constant(alert),
        context,
        fc.constantFrom('alert.created', 'alert.updated', 'alert.quiet', 'webhook.test'),
      ),
    )
    .map(([alert, values, type]) => alertInput(alert, values, { type, previousSeverity: alert.severity })),
  fc
    .record({
      title: hostile,
      description: hostile,
      account: hostile,
      region: hostile,
      state_reason: hostile,
      creation_time: hostile,
      url: hostile.map((text) => `https://x.example/${text}`),
    })
    .chain((alert) => fc.tuple(fc.constant(alert), context, fc.constantFrom('active' as const, 'resolved' as const)))
    .map(([alert, values, state]) => findingInput({ type: 'alert.updated', state }, alert, values)),
  fc
    .tuple(fc.oneof(hostile, context), fc.option(hostile))
    .map(([message, subject]) => notificationInput(message, subject)),
  fc
    .tuple(fc.constantFrom('webhook.failing', 'webhook.disabled'), context)
    .map(([type, webhook]) => noticeInput(type, webhook)),
)

/** Renders many hostile events; `check` throws for a body that violates a rule. */
export function always(format: Rendering, check: (body: JsonObject, text: string) => void): void {
  fc.assert(
    fc.property(anyInput, (input) => {
      const body = bodyOf(format, input)
      const { text } = renderFormat(format, input)
      if (!text.isWellFormed()) throw new Error('a lone surrogate')
      check(body, text)
    }),
    { numRuns: 150 },
  )
}

/** @throws Error when one of the texts matches */
export function refuse(pattern: RegExp, texts: string[]): void {
  const wrong = texts.find((text) => pattern.test(text))
  if (wrong !== undefined) throw new Error(`${String(pattern)} in ${JSON.stringify(wrong)}`)
}

/** Control characters, line separators, marks that reverse the reading direction, lone surrogates. */
export const UNCLEAN = /[^\P{Cc}\n]|[\u2028\u2029\u202a-\u202e\u2066-\u2069]|[\ud800-\udfff]/u
