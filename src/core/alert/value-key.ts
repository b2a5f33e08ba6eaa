/**
 * Keys by which values are found in any alert. Pure.
 *
 * Guarantee: two values have one key when `once` takes them for one: addresses, hashes, hosts, URLs and e-mail addresses whatever
 * their spelling, anything else as it is. A key is 64 bits of a SHA-256 digest: nobody can make one for the value of another.
 */
import { hash } from 'node:crypto'
import { isLosslessNumber } from 'lossless-json'
import { parseJson, type Json } from '../platform/json.js'
import type { ContextValue } from './context.js'
import { fieldKind, normalForm, type FieldKind, type NormalForm } from './normal-form.js'

/** What a field may say of a value that is looked for at every path. */
const FIELD_KINDS: readonly FieldKind[] = [undefined, 'hash', 'host', 'name']

/** What was worked out lately: most values and nearly all paths come again, in the same alert or in others. */
const MAX_KNOWN = 20_000
const MAX_KNOWN_LENGTH = 200
const knownKinds = new Map<string, FieldKind>()
const knownKeys = new Map<string, bigint>()

/** The key of a text or a number; null for all else, which nobody looks for. */
export function valueKey({ path, value }: ContextValue): bigint | null {
  if (!isSearchable(value)) return null
  const field = known(knownKinds, path.join('\n'), () => fieldKind(path))
  const find = () => keyOf(normalForm(field, value))
  return typeof value === 'string' ? known(knownKeys, `${field ?? ''}\n${value}`, find) : find()
}

function known<T>(values: Map<string, T>, name: string, find: () => T): T {
  if (name.length > MAX_KNOWN_LENGTH) return find()
  let value = values.get(name)
  if (value !== undefined || values.has(name)) return value as T
  value = find()
  if (values.size >= MAX_KNOWN) values.clear()
  values.set(name, value)
  return value
}

/** What a text may stand for: its normal forms. @param path where it is looked for; undefined: everywhere */
export function formsOf(text: string, path: readonly string[] | undefined): NormalForm[] {
  const values: Json[] = [text, ...numberOf(text)]
  const kinds = path ? [fieldKind(path)] : FIELD_KINDS
  const forms = values.flatMap((value) => kinds.map((kind) => normalForm(kind, value)))
  return [...new Map(forms.map((form) => [`${form.kind} ${form.text}`, form])).values()]
}

export function keyOf({ kind, text }: Pick<NormalForm, 'kind' | 'text'>): bigint {
  return hash('sha256', `${kind}\n${text}`, 'buffer').readBigInt64BE(0)
}

function isSearchable(value: Json): boolean {
  return typeof value === 'string' || typeof value === 'number' || isLosslessNumber(value)
}

/** The number that a text is, if it is one. */
function numberOf(text: string): Json[] {
  if (!/^-?\d/.test(text) || text.length > 400) return []
  try {
    return [parseJson(text)].filter(isSearchable)
  } catch {
    return []
  }
}
