/**
 * The setting `once`: which values of an event are indicators for a webhook. Pure.
 *
 * Guarantee: a path selects by whole keys, with `*` for any characters inside a key; the preset has no values that differ
 * from event to event (ports, bytes, times, sequences).
 */
import { isIP } from 'node:net'
import { Type, type Static } from 'typebox'
import { uniqueValues, type ContextValue } from '../alert/context.js'
import { createAddressRule } from '../platform/address.js'
import { DURATION_PATTERN, durationMs } from '../platform/duration.js'
import type { Json } from '../platform/json.js'
import { matchesGlob } from '../platform/glob.js'

const PATH = '^[^\\u0000.]+(\\.[^\\u0000.]+)*$'

export const Once = Type.Object(
  {
    paths: Type.Union(
      [
        Type.Array(Type.String({ maxLength: 200, pattern: PATH }), { minItems: 1, maxItems: 100, uniqueItems: true }),
        Type.Literal('indicators'),
      ],
      {
        description:
          'Paths into the context, such as `file.hash.*`; or "indicators": hashes, addresses, domains, URLs and e-mail ' +
          'addresses where the Elastic Common Schema has them.',
      },
    ),
    within: Type.Optional(
      Type.String({
        pattern: DURATION_PATTERN,
        description: 'A value is sent again after this time, such as 30d; left out: never.',
      }),
    ),
    exclude_private: Type.Optional(
      Type.Boolean({ description: 'Leaves out addresses that are not public, which a scanner cannot look up.' }),
    ),
  },
  {
    additionalProperties: false,
    description:
      'It receives an event only when the event holds values that it was never sent, of any alert; these are `indicators`.',
    examples: [{ paths: ['file.hash.*', 'related.ip', 'url.full'], within: '30d' }],
  },
)
export type Once = Static<typeof Once>

/** One value at one path, as in a body. */
export interface Indicator {
  path: string
  value: Json
}

/** Fields of the Elastic Common Schema (8.x) that hold observables which scanners look up. */
const ECS_INDICATORS = [
  'file.hash.*',
  'process.hash.*',
  'process.parent.hash.*',
  'dll.hash.*',
  'email.attachments.file.hash.*',
  'threat.indicator.file.hash.*',
  'related.hash',
  'hash.*',
  ...['source', 'destination', 'client', 'server', 'threat.indicator'].map((field) => `${field}.ip`),
  ...['source', 'destination', 'client', 'server'].flatMap((field) => [`${field}.domain`, `${field}.nat.ip`]),
  'related.ip',
  'related.hosts',
  'dns.question.name',
  'dns.resolved_ip',
  'dns.answers.data',
  'url.full',
  'url.original',
  'url.domain',
  'threat.indicator.url.full',
  'threat.indicator.url.domain',
  'tls.client.server_name',
  'tls.server.hash.*',
  'tls.client.hash.*',
  ...['from', 'sender', 'reply_to', 'to', 'cc', 'bcc'].map((field) => `email.${field}.address`),
  'threat.indicator.email.address',
]

const isPublic = createAddressRule([])

/** The indicators among an event's values, each once, in their order. */
export function selectIndicators(values: readonly ContextValue[], once: Once): ContextValue[] {
  const patterns = (once.paths === 'indicators' ? ECS_INDICATORS : once.paths).map((path) => path.split('.'))
  const selected = values.filter(({ path, value }) => {
    if (!patterns.some((pattern) => matchesPath(pattern, path))) return false
    return !(once.exclude_private && typeof value === 'string' && isPrivateAddress(value))
  })
  return uniqueValues(selected)
}

/** A value as in a body. */
export function indicatorOf({ path, value }: ContextValue): Indicator {
  return { path: path.join('.'), value }
}

/** Values sent before this time may be sent again; undefined: values are never sent again. */
export function expiryOf(once: Once, now: Date): Date | undefined {
  const ms = once.within === undefined ? undefined : durationMs(once.within)
  return ms === undefined ? undefined : new Date(now.getTime() - ms)
}

function matchesPath(pattern: readonly string[], path: readonly string[]): boolean {
  return pattern.length === path.length && pattern.every((part, i) => matchesGlob(part, path[i]!))
}

function isPrivateAddress(text: string): boolean {
  return isIP(text) !== 0 && !isPublic(text)
}
