/**
 * The values of a context for people: one line a field, those that say most first. Pure.
 *
 * Guarantee: names and values are on one line, clean (see text.ts), never empty, and not escaped.
 */
import { isLosslessNumber } from 'lossless-json'
import { flattenContext, type ContextValue } from '../alert/context.js'
import { isJsonObject, stringifyJson, type Json, type JsonObject } from '../platform/json.js'
import { timeOf } from '../source/time.js'
import { fit, oneLine, timeText, type Escape } from './text.js'

/** A name and a value, each on one line. */
export interface Line {
  name: string
  value: string
}

/** Characters of all values of one field. */
export const MAX_VALUE = 2000

/** Field sets of ECS: who did what to whom. Those in neither list come between the two. */
const FIRST = ['source', 'client', 'destination', 'server', 'user', 'process', 'file', 'url', 'dns', 'host']
const LAST = ['rule', 'event', 'cloud', 'observer', 'agent', 'labels', 'tags', 'related', 'matano']
/** Field sets whose values may repeat what is shown beside the title. */
const REPEATING = new Set(['rule', 'event', 'cloud'])

/** Names of fields that hold a time, which Matano writes in epoch microseconds. */
const TIME_NAME =
  /^(@?timestamp|ts|start|end|created|ingested|accessed|ctime|mtime|not_before|not_after|creation_date)$|_(at|date|seen|time|timestamp)$/
/** 2001-09-09: smaller numbers are counts, durations or days. */
const EARLIEST_S = 1e9

/** One line a field, its values joined, in the order of the document. */
export function linesOf(document: JsonObject): Line[] {
  return linesOfValues(flattenContext(document).flatMap(withMembers))
}

/**
 * One line a field of what is new in an alert, what says most first.
 * @param known what is shown elsewhere: the title, the source, the account, the Region
 */
export function newLinesOf(diff: JsonObject, known: readonly string[]): Line[] {
  const values = flattenContext(diff).flatMap(withMembers)
  const left = told(values, known)
  return linesOfValues((left.length > 0 ? left : values).sort((a, b) => byWeight(a.path, b.path)))
}

function linesOfValues(values: readonly ContextValue[]): Line[] {
  const byField = new Map<string, string>()
  for (const { path, value } of values) {
    const name = textLine(path.join('.'))
    const shown = textLine(valueText(path.at(-1) ?? '', value))
    const before = byField.get(name)
    if (before === undefined) byField.set(name, shown)
    else if (before.length <= MAX_VALUE) byField.set(name, `${before}, ${shown}`)
  }
  return [...byField].map(([name, value]) => ({ name, value: fit(value, MAX_VALUE) }))
}

/**
 * The lines that fit into the limits, with long ones cut, and the number of lines left out.
 * @param limits.count lines
 * @param limits.length characters in all, of the escaped texts and the ": " and line break of each line
 */
export function linesWithin(
  lines: readonly Line[],
  limits: { count: number; length: number; nameLength?: number; valueLength?: number },
  escape?: Escape,
): { lines: Line[]; more: number } {
  const { count, length, nameLength = 100, valueLength = 300 } = limits
  const fitting: Line[] = []
  let remaining = length
  for (const line of lines) {
    const name = fit(line.name, nameLength, escape)
    const value = fit(line.value, valueLength, escape)
    remaining -= name.length + value.length + 3
    if (fitting.length === count || remaining < 0) break
    fitting.push({ name, value })
  }
  return { lines: fitting, more: lines.length - fitting.length }
}

export function display(value: Json): string {
  return typeof value === 'string' ? value : stringifyJson(value)
}

/** An object in a list has a value a member. */
function withMembers({ path, value }: ContextValue): ContextValue[] {
  const members = isJsonObject(value) ? flattenContext(value) : []
  if (members.length === 0) return [{ path, value }]
  return members.flatMap((member) => withMembers({ path: [...path, ...member.path], value: member.value }))
}

/** The values without those that say nothing more: what is shown elsewhere, and what ECS repeats. */
function told(values: readonly ContextValue[], known: readonly string[]): ContextValue[] {
  const shown = new Set(known.map((text) => text.toLowerCase()))
  const said = new Set(values.filter(({ path }) => !isCopy(path)).map(({ value }) => display(value)))
  return values.filter(({ path, value }) => {
    if (isCopy(path)) return !said.has(display(value))
    return !REPEATING.has(path[0] ?? '') || !shown.has(display(value).toLowerCase())
  })
}

/** ECS repeats addresses as `source.address`, and all that one may search for under `related`. */
function isCopy(path: readonly string[]): boolean {
  return path[0] === 'related' || path.at(-1) === 'address'
}

/** By field set, then by depth: `source.ip` says more than `source.as.number`. */
function byWeight(a: readonly string[], b: readonly string[]): number {
  const [setA = '', setB = ''] = [a[0], b[0]]
  if (setA === setB) return a.length - b.length
  return rankOf(setA) - rankOf(setB) || (setA < setB ? -1 : 1)
}

function rankOf(set: string): number {
  return FIRST.includes(set) ? FIRST.indexOf(set) : FIRST.length + 1 + LAST.indexOf(set)
}

function valueText(name: string, value: Json): string {
  if (!TIME_NAME.test(name) || !(typeof value === 'number' || isLosslessNumber(value))) return display(value)
  const time = Number(value) < EARLIEST_S ? undefined : timeOf(value)
  return time === undefined ? display(value) : timeText(time)
}

/** A text on one line, never empty: receivers refuse empty texts. */
function textLine(text: string): string {
  return oneLine(text) || '""'
}
