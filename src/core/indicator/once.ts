/**
 * The setting `once`: which values of an event are indicators for a webhook. Pure.
 *
 * Guarantee: a path selects by whole keys, with `*` for any characters inside a key and `**` for any number of keys. A value is
 * one whatever its path and its spelling (normal-form.ts). The preset has no values that differ from event to event (ports,
 * bytes, times, sequences).
 */
import { hash } from 'node:crypto'
import { isLosslessNumber } from 'lossless-json'
import { Type, type Static } from 'typebox'
import type { ContextValue } from '../alert/context.js'
import { DURATION_PATTERN, DURATION_WORDS, durationMs } from '../platform/duration.js'
import { patterned } from '../platform/schema.js'
import { matchesPath } from '../platform/glob.js'
import { isJsonObject, type Json } from '../platform/json.js'
import { ECS_INDICATORS } from '../alert/ecs-fields.js'
import { fieldKind, normalForm, type FieldKind, type IndicatorKind } from '../alert/normal-form.js'

const PATH = '^[^\\u0000.]+(\\.[^\\u0000.]+)*$'

export const Once = Type.Object(
  {
    paths: Type.Union(
      [
        Type.Array(Type.String({ maxLength: 200, ...patterned(PATH, 'keys joined by dots, such as file.hash.*') }), {
          minItems: 1,
          maxItems: 100,
          uniqueItems: true,
        }),
        Type.Literal('indicators'),
      ],
      {
        description:
          'Paths into the context: `*` in a key stands for any characters (`file.hash.*`), the key `**` for any number of keys ' +
          '(`**.hash.*`). Or "indicators": hashes, addresses, domains, URLs and e-mail addresses where the Elastic Common ' +
          'Schema 9 has them. A value counts once, whatever its path and its spelling.',
      },
    ),
    within: Type.Optional(
      Type.String({
        ...patterned(DURATION_PATTERN, DURATION_WORDS),
        description: 'A value is sent again after this time, such as 30d; left out: never.',
      }),
    ),
    exclude_private: Type.Optional(
      Type.Boolean({
        description:
          'Leaves out addresses and networks that are not public, also in URLs and with ports: a scanner cannot look them up.',
      }),
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

/** A value that may be sent, and what it is known by. */
export interface SelectedIndicator extends ContextValue {
  kind: IndicatorKind
  /** A 16-byte digest of kind and normal form. */
  key: Buffer
}

/**
 * The indicators among an event's values, each once whatever its paths and spellings, in their order. Of several paths it has the
 * first, and one under `related`, where the Elastic Common Schema has copies, only if there is no other.
 */
export function selectIndicators(values: readonly ContextValue[], once: Once): SelectedIndicator[] {
  const patterns = (once.paths === 'indicators' ? ECS_INDICATORS : once.paths).map((path) => path.split('.'))
  // The values of one list share their path: what it is matched against is not matched again for each.
  const byPath = new Map<string[], { isSelected: boolean; field: FieldKind }>()
  const factsOf = (path: string[]) => {
    let facts = byPath.get(path)
    if (!facts) {
      const isSelected = patterns.some((pattern) => matchesPath(pattern, path))
      byPath.set(path, (facts = { isSelected, field: isSelected ? fieldKind(path) : undefined }))
    }
    return facts
  }
  const isSelected = ({ path }: ContextValue) => factsOf(path).isSelected
  const selected = values.flatMap((entry) => {
    const inner = membersOf(entry).filter(isSelected)
    return inner.length > 0 || !isSelected(entry) ? inner : [entry]
  })
  const isCopy = ({ path }: ContextValue) => path[0] === 'related'
  const unique = new Map<string, SelectedIndicator>()
  for (const entry of [...selected.filter((entry) => !isCopy(entry)), ...selected.filter(isCopy)]) {
    const { kind, text, isPrivate } = normalForm(factsOf(entry.path).field, entry.value)
    if (once.exclude_private && isPrivate()) continue
    const identity = `${kind}\n${text}`
    if (!unique.has(identity)) unique.set(identity, { ...entry, kind, key: indicatorKey(kind, text) })
  }
  return [...unique.values()]
}

export function indicatorKey(kind: IndicatorKind, text: string): Buffer {
  return hash('sha256', `${kind}\n${text}`, 'buffer').subarray(0, 16)
}

/** The values inside a value that is an object or a list, such as an element of `threat.enrichments`, each with its path. */
function membersOf({ path, value }: ContextValue): ContextValue[] {
  if (Array.isArray(value)) return value.flatMap((element) => leavesOf({ path, value: element }))
  if (!isJsonObject(value)) return []
  return Object.entries(value).flatMap(([key, member]) => leavesOf({ path: [...path, key], value: member }))
}

function leavesOf(entry: ContextValue): ContextValue[] {
  return typeof entry.value === 'object' && entry.value !== null && !isLosslessNumber(entry.value)
    ? membersOf(entry)
    : [entry]
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
