/** What holds for every message, whatever is in it. */
import fc from 'fast-check'
import t from 'tap'
import { LosslessNumber } from 'lossless-json'
import { isJsonObject, parseJson, stringifyJson, type Json, type JsonObject } from '../../../src/core/platform/json.js'
import { recognise } from '../../../src/core/source/recognise.js'
import { SOURCE_NAMES, type Finding } from '../../../src/core/source/source.js'
import { changesOf, fixture, NO_OPTIONS, readFixtures, shown } from './shown.js'

const messages = (await readFixtures()).map(({ message }) => message)

/** Every text, number and boolean in a message, also those in JSON texts, as lower-case texts. */
function leavesOf(value: Json, leaves = new Set<string>()): Set<string> {
  if (Array.isArray(value)) for (const entry of value) leavesOf(entry, leaves)
  else if (isJsonObject(value)) for (const child of Object.values(value)) leavesOf(child, leaves)
  else if (value !== null) {
    leaves.add(String(value).toLowerCase())
    if (typeof value === 'string' && /^\s*[{[]/.test(value)) {
      try {
        leavesOf(parseJson(value), leaves)
      } catch {
        // a text that only begins as JSON does
      }
    }
  }
  return leaves
}

/** What a source says by itself: who sent it, and a direction in ECS's words. */
const OWN_WORDS: Record<string, readonly string[]> = {
  'cloud.provider': ['aws'],
  'event.provider': SOURCE_NAMES,
  'network.direction': ['inbound', 'outbound', 'ingress', 'egress'],
}

function isFrom(leaves: ReadonlySet<string>, { path, value }: Finding['context'][number]): boolean {
  const text = String(value).toLowerCase()
  if (leaves.has(text) || OWN_WORDS[path.join('.')]?.includes(text)) return true
  const isNumber = typeof value === 'number'
  return [...leaves].some((leaf) => (isNumber ? leaf.trim() !== '' && Number(leaf) === value : leaf.includes(text)))
}

function check(message: Json): void {
  const answer = recognise(message, NO_OPTIONS)
  if (!answer || !('changes' in answer)) return
  const leaves = leavesOf(message)
  const ids = new Set(answer.changes.map(({ alertId }) => alertId))
  if (answer.changes.length === 0 || ids.size < answer.changes.length) throw new Error('a change for each alert')
  for (const change of answer.changes) {
    if (!/^[^\p{Cc}\p{Cs}]{1,200}$/u.test(change.alertId)) throw new Error(`alert id ${change.alertId}`)
    if (change.title === '' || change.title.length > 1000) throw new Error(`title ${change.title}`)
    if (change.url !== undefined && !/^https?:$/.test(new URL(change.url).protocol)) throw new Error(change.url)
    const byName = new Map<string, Set<string>>()
    for (const entry of change.context) {
      const name = entry.path.join('.')
      if (!isFrom(leaves, entry)) throw new Error(`${name}: ${stringifyJson(entry.value)} is not in the message`)
      const values = byName.get(name) ?? new Set()
      byName.set(name, values.add(stringifyJson(entry.value)))
      if (entry.value === '' || entry.value === null || typeof entry.value === 'object') {
        if (!(entry.value instanceof LosslessNumber)) throw new Error(`${name} holds no value`)
      }
      if (String(entry.value).length > 4096) throw new Error(`${name} is not cut`)
    }
    const count = [...byName.values()].reduce((sum, values) => sum + values.size, 0)
    if (count !== change.context.length) throw new Error('a value is there twice')
    if ([...byName.values()].some((values) => values.size > 500)) throw new Error('a list is not cut')
  }
}

t.test('the context holds only what its message holds', async (t) => {
  for (const message of messages) t.doesNotThrow(() => check(message))
})

/** Values that readers trip over. */
const ODD: fc.Arbitrary<Json> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }) as fc.Arbitrary<Json>,
  fc.constantFrom<Json>(
    null,
    '',
    ' ',
    'constructor',
    '__proto__',
    'toString',
    '\u0000',
    '\ud800',
    'x'.repeat(5000),
    '0',
    -1,
    0,
    1e308,
    new LosslessNumber('12345678901234567890'),
    [],
    {},
    [[[]]],
    [null],
    { '': '' },
    JSON.parse('{"__proto__":{"id":"x"}}') as Json,
    '{"sample":true',
    'arn:aws:x:::y',
    true,
  ),
)

/** A place of a message, by a random number at each level. */
interface Edit {
  turns: number[]
  value: Json
  remove: boolean
}

const EDIT: fc.Arbitrary<Edit> = fc.record({
  turns: fc.array(fc.nat(), { minLength: 3, maxLength: 9 }),
  value: fc.oneof(ODD, fc.constantFrom(...messages)),
  remove: fc.boolean(),
})

function edited(value: Json, edit: Edit): Json {
  const [turn, ...turns] = edit.turns
  const keys = isJsonObject(value) || Array.isArray(value) ? Object.keys(value) : []
  if (turn === undefined || keys.length === 0) return edit.value
  const key = keys[turn % keys.length]!
  const next = { ...edit, turns }
  if (Array.isArray(value)) return value.map((entry, index) => (String(index) === key ? edited(entry, next) : entry))
  const entries = Object.entries(value as JsonObject)
  const isLast = turns.length === 0
  return Object.fromEntries(
    entries
      .filter(([name]) => !(isLast && edit.remove && name === key))
      .map(([name, child]) => [name, name === key ? edited(child, next) : child]),
  )
}

t.test('a message that is damaged anywhere never throws, and its changes keep the bounds', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.constantFrom(...messages), fc.array(EDIT, { minLength: 1, maxLength: 6 }), (message, edits) =>
        check(edits.reduce(edited, message)),
      ),
      { numRuns: 3000 },
    ),
  )
})

t.test('any JSON never throws', async (t) => {
  t.doesNotThrow(() => fc.assert(fc.property(ODD, check), { numRuns: 1000 }))
})

/** Counts the fields of a message that are read. */
function counted(value: Json, count: { reads: number }): Json {
  if (typeof value !== 'object' || value === null || value instanceof LosslessNumber) return value
  const children = Array.isArray(value)
    ? value.map((entry) => counted(entry, count))
    : Object.fromEntries(Object.entries(value).map(([key, child]) => [key, counted(child, count)]))
  return new Proxy<object>(children, {
    get: (target, key, receiver) => {
      count.reads++
      return Reflect.get(target, key, receiver) as unknown
    },
  }) as Json
}

const times = (n: number, make: (index: number) => Json): Json[] => Array.from({ length: n }, (_, index) => make(index))
const keyed = (n: number, key: (index: number) => string): JsonObject =>
  Object.fromEntries(Array.from({ length: n }, (_, index) => [key(index), 'x']))
const detailOf = (message: JsonObject) => message.detail as JsonObject

t.test('the work grows as the message does', async (t) => {
  const [guardDuty, asff, group, ocsf, shell] = await Promise.all(
    ['guardduty-new', 'securityhub-guardduty', 'alertmanager', 'ocsf-detection', 'falco-shell'].map(fixture),
  )
  const finding = (detailOf(asff!).findings as JsonObject[])[0]!
  const evidence = (detailOf(ocsf!).findings as JsonObject[])[0]!
  const grown: Record<string, (n: number) => Json> = {
    interfaces: (n) => ({
      ...detailOf(guardDuty!),
      resource: { instanceDetails: { networkInterfaces: times(n, (i) => ({ privateIpAddress: `10.0.0.${i}` })) } },
    }),
    probes: (n) => ({
      ...detailOf(guardDuty!),
      service: {
        serviceName: 'guardduty',
        action: {
          portProbeAction: { portProbeDetails: times(n, (i) => ({ remoteIpDetails: { ipAddressV4: `${i}` } })) },
        },
      },
    }),
    findings: (n) => ({ findings: times(n, (i) => ({ ...finding, Id: `arn:aws:x:::${i}` })) }),
    'product fields': (n) => ({
      ...finding,
      ProductFields: keyed(n, (i) => `aws/guardduty/service/a.${i}_/b`),
    }),
    alerts: (n) => ({ ...group, alerts: times(n, (i) => ({ labels: { alertname: `${i}` }, fingerprint: `${i}` })) }),
    labels: (n) => ({ ...group, alerts: [{ labels: keyed(n, (i) => `label ${i}`), startsAt: 'x' }] }),
    evidences: (n) => ({ ...evidence, evidences: times(n, () => (evidence.evidences as Json[])[0]!) }),
    tags: (n) => ({ ...shell, tags: times(n, (i) => `tag ${i}`) }),
  }
  for (const [name, make] of Object.entries(grown)) {
    const readsOf = (n: number) => {
      const count = { reads: 0 }
      t.ok(recognise(counted(make(n), count), NO_OPTIONS), name)
      return count.reads
    }
    const [one, two] = [readsOf(200), readsOf(400)]
    t.ok(two <= one * 2.1, `${name}: ${two} reads for twice as much as took ${one}`)
  }
})

t.test('a message of 250 KB is read, and what is too long is cut and said so', async (t) => {
  const finding = detailOf(await fixture('guardduty-new'))
  const probes = times(900, (i) => ({
    remoteIpDetails: {
      ipAddressV4: `198.51.${i % 256}.${Math.floor(i / 256)}`,
      organization: { asnOrg: `AS ${i}`.padEnd(200, 'x') },
    },
    localPortDetails: { port: i },
  }))
  const large = {
    ...finding,
    title: 'a title that is long '.repeat(500),
    service: { ...(finding.service as JsonObject), action: { portProbeAction: { portProbeDetails: probes } } },
  }
  t.ok(JSON.stringify(large).length > 250_000)
  const [change] = changesOf(large)
  t.ok(change!.cut)
  t.equal(change!.title.length, 1000)
  t.equal(change!.context.filter(({ path }) => path.join('.') === 'source.ip').length, 500)
  check(large)
  const [small] = changesOf(finding)
  t.notOk(small!.cut)
})

t.test('more findings than any producer sends leave the message a notification that says why', async (t) => {
  const group = await fixture('alertmanager')
  const alerts = times(1001, (i) => ({ labels: { alertname: `${i}` }, fingerprint: `${i}` }))
  t.match(shown({ ...group, alerts }), { source: 'alertmanager', unread: /1001 findings, of which at most 1000/ })
})
