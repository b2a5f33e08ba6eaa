import { Ajv, type ValidateFunction } from 'ajv'
import ajvFormats from 'ajv-formats'
import fc from 'fast-check'
import t from 'tap'
import { isJsonObject, parseJson, type Json, type JsonObject } from '../../../src/core/platform/json.js'
import { FORMATS, type FormatName } from '../../../src/core/format/format-names.js'
import type { FormatInput } from '../../../src/core/format/input.js'
import { renderFormat } from '../../../src/core/format/receivers.js'
import { alertInput, noticeInput, notificationInput, ROUTING_KEY, storedEvent, TOPIC } from './inputs.js'
import { cloudEventSchema } from './schemas/cloudevents.js'
import { discordSchema } from './schemas/discord.js'
import { jiraSchema } from './schemas/jira.js'
import { ocsfSchema } from './schemas/ocsf.js'
import { pagerdutySchema } from './schemas/pagerduty.js'
import { slackSchema } from './schemas/slack.js'
import { teamsSchema } from './schemas/teams.js'

type Rendering = Exclude<FormatName, 'template'>
const RENDERED = FORMATS.filter((format) => format !== 'template')
const ALERT_ID = '61d3ac78-cedd-434e-b407-ae0b330e1d4a'
const EVENT_ID = storedEvent().id

/** Lengths in UTF-16 code units: the strictest count. */
const ajv = ajvFormats.default(new Ajv({ unicode: false, strict: false, allErrors: true }))
const VALIDATE: { [F in Rendering]?: ValidateFunction } = {
  cloudevents: ajv.compile(cloudEventSchema),
  ocsf: ajv.compile(ocsfSchema),
  slack: ajv.compile(slackSchema),
  teams: ajv.compile(teamsSchema),
  pagerduty: ajv.compile(pagerdutySchema),
  discord: ajv.compile(discordSchema),
  jira: ajv.compile(jiraSchema),
}

/** The body, well-formed and valid for its receiver. */
function bodyOf(format: Rendering, input: FormatInput): JsonObject {
  const { text } = renderFormat(format, input)
  const body = JSON.parse(text) as JsonObject
  const validate = VALIDATE[format]
  if (validate && !validate(body)) throw new Error(`${format}: ${JSON.stringify(validate.errors)}\n${text}`)
  return body
}

/** Every string in a value, keys included. */
function stringsOf(value: Json | undefined): string[] {
  if (typeof value === 'string') return [value]
  if (Array.isArray(value)) return value.flatMap(stringsOf)
  return isJsonObject(value) ? Object.entries(value).flatMap(([key, child]) => [key, ...stringsOf(child)]) : []
}

/** Every object in a value of a type that Slack, Teams and the Atlassian Document Format name by `type`. */
function nodesOf(value: Json | undefined, type: string): JsonObject[] {
  if (Array.isArray(value)) return value.flatMap((child) => nodesOf(child, type))
  if (!isJsonObject(value)) return []
  return [...(value.type === type ? [value] : []), ...Object.values(value).flatMap((child) => nodesOf(child, type))]
}

const INPUTS: [string, FormatInput][] = [
  ['a new alert', alertInput()],
  ['an update', alertInput({}, { user: { name: ['b'] } }, { type: 'alert.updated', previousSeverity: 'low' })],
  ['a quiet alert', alertInput({}, {}, { type: 'alert.quiet', topicArn: null, messageId: null })],
  ['a test', alertInput({}, {}, { type: 'webhook.test', topicArn: null, alertId: null })],
  [
    'an alert without anything',
    alertInput({ title: '', severity: null, runbook: 3, tables: 'x', match_count: 'y' }, {}),
  ],
  ['a plain notification', notificationInput('Disk full\non web-1', 'ALARM')],
  ['a JSON notification', notificationInput({ AlarmName: 'cpu', Trigger: { Dimensions: [{ name: 'a' }] } })],
  ['a list', notificationInput([1, 'two'])],
  ['an empty notification', notificationInput('')],
  ['a failing webhook', noticeInput('webhook.failing', { id: 'wh_1', url: 'https://x.example', failures: 7 })],
  ['a recovered webhook', noticeInput('webhook.recovered', { id: 'wh_1' })],
  ['a disabled webhook', noticeInput('webhook.disabled', { id: 'wh_1', disabled_reason: 'gone' })],
]

for (const format of RENDERED) {
  t.test(`${format}: every kind of event is valid for its receiver`, async (t) => {
    for (const [name, input] of INPUTS) {
      if (format === 'raw') t.type(renderFormat(format, input).text, 'string', name)
      else t.ok(bodyOf(format, input), name)
    }
  })
}

t.test('change: the body as it is, numbers digit by digit', async (t) => {
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

t.test('raw: the message byte for byte', async (t) => {
  const raw = (payload: string, values = {}) =>
    renderFormat('raw', { ...INPUTS[0]![1], event: storedEvent({ payload, ...values }) })
  t.same(raw('{ "a" : 1.0,\n"a":2 }'), { contentType: 'application/json', text: '{ "a" : 1.0,\n"a":2 }' })
  t.same(raw('"plain \\u00e9\\n"'), { contentType: 'text/plain; charset=utf-8', text: 'plain é\n' })
  t.same(raw('"\\"quoted\\""'), { contentType: 'text/plain; charset=utf-8', text: '"quoted"' })
  t.same(raw('"42"').text, '42')
  t.same(raw('"\\ud800"').text, '\ufffd')
  t.same(raw('{"webhook":{}}', { topicArn: null }).text, '{"webhook":{}}')
})

t.test('cloudevents: attributes name the event, data is the body', async (t) => {
  const input = alertInput()
  const { contentType } = renderFormat('cloudevents', input)
  t.equal(contentType, 'application/cloudevents+json; charset=utf-8')
  t.match(bodyOf('cloudevents', input), {
    id: EVENT_ID,
    source: TOPIC,
    type: 'com.alert-relay.alert.created',
    subject: ALERT_ID,
    time: '2026-01-02T03:04:06.000Z',
    data: { updated_alert: { id: ALERT_ID }, relay: { event_id: EVENT_ID } },
  })
  const notice = bodyOf('cloudevents', noticeInput('webhook.failing', { id: 'wh_1' }))
  t.match(notice, { source: 'urn:alert-relay', subject: 'wh_1' })
  t.notOk('subject' in bodyOf('cloudevents', notificationInput('x')))
})

t.test('ocsf: creates, updates and closes a finding', async (t) => {
  const created = bodyOf('ocsf', alertInput({ runbook: 'https://wiki.example/r' }))
  t.match(created, {
    activity_id: 1,
    type_uid: 200401,
    severity_id: 3,
    status_id: 1,
    time: 1767323045678,
    metadata: { uid: EVENT_ID },
    finding_info: {
      uid: ALERT_ID,
      title: 'AWS Root Credentials Change',
      first_seen_time: Date.parse('2023-03-15T06:21:13.687Z'),
      data_sources: ['aws_cloudtrail'],
      related_events_count: 2,
    },
    remediation: { references: ['https://wiki.example/r'] },
    unmapped: { updated_alert: { id: ALERT_ID } },
  })
  t.match(bodyOf('ocsf', INPUTS[1]![1]), { activity_id: 2, type_uid: 200402 })
  t.match(bodyOf('ocsf', INPUTS[2]![1]), { activity_id: 3, type_uid: 200403, status_id: 4 })
  t.match(bodyOf('ocsf', INPUTS[5]![1]), { class_uid: 0, type_uid: 99, message: 'Notification: ALARM' })
})

t.test('ocsf: severities are mapped, an unknown one is Other with its text', async (t) => {
  const severityOf = (severity: unknown) => {
    const { severity_id: id, severity: text } = bodyOf('ocsf', alertInput({ severity }))
    return [id, text]
  }
  t.same(['info', 'notice', 'low', 'medium', 'HIGH', 'critical', 'sev-1', '', null].map(severityOf), [
    [1, 'Informational'],
    [1, 'Informational'],
    [2, 'Low'],
    [3, 'Medium'],
    [4, 'High'],
    [5, 'Critical'],
    [99, 'sev-1'],
    [0, 'Unknown'],
    [0, 'Unknown'],
  ])
})

t.test('ocsf: observables point at their values, each once', async (t) => {
  const context = {
    source: { ip: ['1.2.3.4'], port: [443] },
    related: { ip: ['1.2.3.4', '2.3.4.5'], user: ['root'], hash: ['aa'] },
    file: { hash: { sha256: ['bb'] } },
    url: { full: ['https://x.example'] },
    user: { domain: ['CORP'] },
  }
  const { observables } = bodyOf('ocsf', alertInput({}, context))
  t.same(
    (observables as JsonObject[])
      .map(({ type, name, value }) => `${String(type)} ${String(name)} ${String(value)}`)
      .sort(),
    [
      'Hash unmapped.context_diff.file.hash.sha256 bb',
      'Hash unmapped.context_diff.related.hash aa',
      'IP Address unmapped.context_diff.related.ip 1.2.3.4',
      'IP Address unmapped.context_diff.related.ip 2.3.4.5',
      'URL String unmapped.context_diff.url.full https://x.example',
      'User Name unmapped.context_diff.related.user root',
    ],
  )
  const many = { related: { ip: Array.from({ length: 1000 }, (_, i) => `10.0.${i >> 8}.${i & 255}`) } }
  t.equal((bodyOf('ocsf', alertInput({}, many)).observables as Json[]).length, 200)
})

t.test('slack: says what happened, and links a runbook that is a URL by its own text', async (t) => {
  const body = bodyOf('slack', alertInput({ runbook: 'https://wiki.example/a|b?c=1&d=<e>' }))
  t.equal(body.text, 'New alert: AWS Root Credentials Change')
  const texts = stringsOf(body)
  t.ok(texts.includes('Severity: medium'))
  t.ok(texts.some((text) => text.includes('source.ip: 5.205.62.253')))
  t.ok(texts.includes(`Event: ${EVENT_ID}`))
  t.same(
    nodesOf(body, 'mrkdwn').map(({ text }) => text),
    ['Runbook: <https://wiki.example/a%7Cb?c=1&amp;d=%3Ce%3E>'],
  )
  const spoof = bodyOf('slack', alertInput({ runbook: 'https://bank.example@evil.example/' }))
  t.same(nodesOf(spoof, 'mrkdwn'), [], 'a URL with credentials is no link')
  for (const runbook of ['javascript:alert(1)', 'see https://x.example', 'https://x.example and <y>', '//x.example']) {
    t.same(nodesOf(bodyOf('slack', alertInput({ runbook })), 'mrkdwn'), [], runbook)
  }
})

t.test('pagerduty: one dedup_key per alert, its silence resolves', async (t) => {
  t.match(bodyOf('pagerduty', alertInput({ severity: 'high', runbook: 'https://wiki.example/r' })), {
    routing_key: ROUTING_KEY,
    event_action: 'trigger',
    dedup_key: ALERT_ID,
    payload: {
      severity: 'error',
      source: TOPIC,
      summary: 'New alert: AWS Root Credentials Change',
      custom_details: { Matches: '2', 'New in this alert': { 'user.name': 'John Doe' } },
    },
    links: [{ href: 'https://wiki.example/r' }],
  })
  t.same(bodyOf('pagerduty', INPUTS[2]![1]), { routing_key: ROUTING_KEY, event_action: 'resolve', dedup_key: ALERT_ID })
  t.match(bodyOf('pagerduty', INPUTS[5]![1]), { event_action: 'trigger', dedup_key: EVENT_ID })
  t.match(bodyOf('pagerduty', INPUTS[3]![1]), { event_action: 'trigger', dedup_key: EVENT_ID }, 'a test opens its own')
  t.match(bodyOf('pagerduty', INPUTS[9]![1]), { event_action: 'trigger', dedup_key: 'wh_1' })
  t.match(bodyOf('pagerduty', INPUTS[10]![1]), { event_action: 'resolve', dedup_key: 'wh_1' })
  const long = bodyOf('pagerduty', alertInput({ id: '\u{1f600}'.repeat(200) }))
  t.match(long.dedup_key, /^[0-9a-f]{64}$/, 'an id that is too long is hashed')
})

t.test('pagerduty: severities are mapped', async (t) => {
  const severityOf = (severity: string) =>
    (bodyOf('pagerduty', alertInput({ severity })).payload as JsonObject).severity
  t.same(['info', 'notice', 'low', 'medium', 'high', 'critical', 'odd'].map(severityOf), [
    ...['info', 'info', 'warning', 'warning', 'error', 'critical', 'warning'],
  ])
})

t.test('jira: an issue in the project, of the type', async (t) => {
  const input = alertInput()
  t.match(bodyOf('jira', input), {
    fields: {
      project: { key: 'SEC' },
      issuetype: { name: 'Task' },
      summary: 'New alert: AWS Root Credentials Change',
      labels: ['alert-relay', 'alert.created', 'severity-medium'],
    },
  })
  const incident = { ...input, options: { project_key: 'OPS', issue_type: 'Incident' } }
  t.match(bodyOf('jira', incident), { fields: { project: { key: 'OPS' }, issuetype: { name: 'Incident' } } })
})

t.test('what is left out is counted', async (t) => {
  const context = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`key${i}`, [`value ${i}`]]))
  for (const [format, shown] of [
    ['slack', 40],
    ['teams', 25],
    ['discord', 30],
    ['jira', 60],
  ] as const) {
    t.ok(
      stringsOf(bodyOf(format, alertInput({}, context))).some((text) => text.endsWith(`and ${3000 - shown} more`)),
      format,
    )
  }
  t.match(bodyOf('pagerduty', alertInput({}, context)), { payload: { custom_details: { 'Left out': 2000 } } })
})

const NASTY = [
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
/** Any text: arbitrary code units, what markup is made of, and up to 10,000 characters of it. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.array(fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit))).map((units) => units.join('')),
  fc.array(fc.constantFrom(...NASTY), { maxLength: 6 }).map((parts) => parts.join('')),
  fc
    .tuple(fc.constantFrom(...NASTY, 'x', '&', '<', '_', '漢'), fc.constantFrom(300, 3001, 10_000))
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
    .tuple(fc.oneof(hostile, context), fc.option(hostile))
    .map(([message, subject]) => notificationInput(message, subject)),
  fc
    .tuple(fc.constantFrom('webhook.failing', 'webhook.disabled'), context)
    .map(([type, webhook]) => noticeInput(type, webhook)),
)

/** Renders many hostile events; `holds` throws where a rule is broken. */
function always(format: Rendering, holds: (body: JsonObject, text: string) => void): void {
  fc.assert(
    fc.property(anyInput, (input) => {
      const body = bodyOf(format, input)
      const { text } = renderFormat(format, input)
      if (!text.isWellFormed()) throw new Error('a lone surrogate')
      holds(body, text)
    }),
    { numRuns: 150 },
  )
}

function refuse(pattern: RegExp, texts: string[]): void {
  const wrong = texts.find((text) => pattern.test(text))
  if (wrong !== undefined) throw new Error(`${String(pattern)} in ${JSON.stringify(wrong)}`)
}

/** What an attacker can do with bare characters: control, hide, reverse. */
const UNCLEAN = /[^\P{Cc}\n]|[\u2028\u2029\u202a-\u202e\u2066-\u2069]|[\ud800-\udfff]/u

t.test('slack: nothing hostile is markup', async () => {
  always('slack', (body) => {
    const texts = stringsOf(body)
    refuse(UNCLEAN, texts)
    refuse(/<!|<@|<#/, texts)
    refuse(/&(?!amp;|lt;|gt;)/, texts)
    refuse(/[<>]/, [...nodesOf(body, 'plain_text').map(({ text }) => String(text)), String(body.text)])
    refuse(
      /^(?!Runbook: <https?:\/\/[^<>|\s]+>$)/,
      nodesOf(body, 'mrkdwn').map(({ text }) => String(text)),
    )
  })
})

t.test('teams: nothing hostile is in a block that reads Markdown, and the message stays below 28 KB', async () => {
  always('teams', (body, text) => {
    refuse(UNCLEAN, stringsOf(body))
    if (/"(TextBlock|FactSet)"/.test(JSON.stringify(nodesOf(body, 'RichTextBlock').map(({ type }) => type)))) {
      throw new Error('Markdown')
    }
    if (Buffer.byteLength(text) > 28 * 1024) throw new Error(`${Buffer.byteLength(text)} bytes`)
  })
})

t.test('teams: the largest message stays below 28 KB', async (t) => {
  const wide = '漢'.repeat(10_000)
  const values = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`漢${i}`, [wide]]))
  const quoted = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${i}`, ['"\\'.repeat(200)]]))
  const url = `https://x.example/${'%41'.repeat(320)}`
  const alert = {
    title: wide,
    severity: wide,
    tables: [wide],
    runbook: url,
    id: '漢'.repeat(200),
    match_count: 1e15,
    update_count: 1e15,
  }
  const sizes = [
    alertInput(alert, values),
    alertInput({ ...alert, runbook: wide }, values),
    alertInput(alert, quoted),
    notificationInput(wide, wide),
    notificationInput('漢\n'.repeat(5000), wide),
  ].map((input) => Buffer.byteLength(JSON.stringify(bodyOf('teams', input))))
  t.ok(Math.max(...sizes) > 15_000 && Math.max(...sizes) < 28 * 1024, String(sizes))
})

t.test('discord: nothing hostile is Markdown, and all texts stay below 6,000', async () => {
  always('discord', (body) => {
    const [embed] = body.embeds as JsonObject[]
    const { title = '', description = '', fields = [] } = embed!
    const content = String(description).replace(/^\*\*(New in this alert|Message)\*\*\n/, '')
    const texts = [String(title), content, ...(fields as JsonObject[]).map(({ value }) => String(value))]
    refuse(UNCLEAN, texts)
    // an unescaped mark: an even number of backslashes before it; ours are ": ", ", " and nothing else
    refuse(/(?<!\\)(?:\\\\)*[*_~`|<>@#[\](){}/]/, texts)
    refuse(/(?<!\\)(?:\\\\)*\\(?![!-/:-@[-`{-~])/, texts)
    const total = [title, description, ...(fields as JsonObject[]).flatMap(({ name, value }) => [name, value])].join(
      '',
    ).length
    if (total > 6000) throw new Error(`${total} characters`)
    refuse(/^\s*$/, [String(title), ...(fields as JsonObject[]).map(({ value }) => String(value))])
  })
})

t.test('discord: the largest message stays below 6,000', async (t) => {
  const starred = '*'.repeat(10_000)
  const values = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`${starred.slice(0, 40)}${i}`, [starred]]))
  const alert = { title: starred, severity: starred, tables: [starred], runbook: starred, id: '*'.repeat(200) }
  const sizes = [
    alertInput({ ...alert, match_count: 1e15, update_count: 1e15 }, values),
    notificationInput(starred, starred),
  ]
    .map((input) => (bodyOf('discord', input).embeds as JsonObject[])[0]!)
    .map(({ title, description, fields }) => [
      title,
      description,
      ...(fields as JsonObject[]).flatMap(({ name, value }) => [name, value]),
    ])
    .map((texts) => texts.join('').length)
  t.ok(Math.max(...sizes) > 4000 && Math.max(...sizes) < 6000, String(sizes))
})

t.test('jira: the summary is one line, the description below 32,767', async () => {
  always('jira', (body) => {
    const { summary, description } = body.fields as JsonObject
    refuse(UNCLEAN, stringsOf(body))
    refuse(/\n/, [String(summary)])
    const { length } = JSON.stringify(description)
    if (length > 32_767) throw new Error(`${length} characters`)
  })
})

t.test('pagerduty: an event stays below 512 KB', async (t) => {
  always('pagerduty', (body, text) => {
    refuse(UNCLEAN, stringsOf(body))
    if (Buffer.byteLength(text) > 512 * 1024) throw new Error('too large')
  })
  const values = Object.fromEntries(Array.from({ length: 6000 }, (_, i) => [`漢${i}`, ['漢'.repeat(100)]]))
  for (const input of [alertInput({}, values), notificationInput('漢'.repeat(250_000))]) {
    const size = Buffer.byteLength(renderFormat('pagerduty', input).text)
    t.ok(size > 100_000 && size < 512 * 1024, String(size))
  }
})

t.test('ocsf and cloudevents: any event is valid', async () => {
  always('ocsf', () => undefined)
  always('cloudevents', () => undefined)
})

t.test('no key is special', async (t) => {
  const input = alertInput({}, parseJson('{"__proto__":{"polluted":["yes"]},"constructor":["c"]}') as JsonObject)
  for (const format of RENDERED) {
    if (format !== 'raw') t.match(renderFormat(format, input).text, 'proto', format)
  }
  t.equal(({} as Record<string, unknown>).polluted, undefined)
})
