/**
 * The findings in what an own source's mapping gave. Pure.
 *
 * Guarantee: every field has its shape, or the error names it; an error holds nothing of the message but names in its context.
 * Unlike a built-in source's, a context may hold what the message does not: an expression can make values up.
 */
import { isLosslessNumber } from 'lossless-json'
import { SEVERITIES } from '../alert/rule-match.js'
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { ContextBuilder } from './context-builder.js'
import { countAt, textAt } from './fields.js'
import { cut, findingOf, MAX_TEXT } from './finding.js'
import { identityOf } from './identity.js'
import { webLink } from './link.js'
import { MAX_FINDINGS, oneEach } from './recognise.js'
import { severityOfWord } from './severity.js'
import type { Finding, FindingState } from './source.js'
import { timeOf } from './time.js'

const FIELDS = new Set([
  ...['id', 'title', 'severity', 'state', 'reason', 'context', 'url', 'account', 'region', 'description'],
  ...['match_count', 'first_seen', 'updated_at'],
])
/** The characters of a name in an error, and the errors of one mapping that are told. */
const MAX_NAME = 100
const MAX_ERRORS = 3

export interface Mapped {
  /** None with the alert id of another. */
  changes: Finding[]
  /** By change, what the mapping gave for it. */
  given: Json[]
}

/** @returns no changes where the mapping gives none; `wrong` says which fields of its result are, and why */
export function mappedChanges(source: string, result: Json | undefined): Mapped | { wrong: string } {
  const list = Array.isArray(result) ? result : result === undefined || result === null ? [] : [result]
  if (list.length > MAX_FINDINGS) return { wrong: `it gives ${list.length} changes, of at most ${MAX_FINDINGS}` }
  const errors: string[] = []
  const findings = list.flatMap((change, index) => {
    const own: string[] = []
    const finding = readChange(source, change, own)
    errors.push(...own.map((error) => (list.length === 1 ? error : `change ${index + 1}: ${error}`)))
    return finding ?? []
  })
  if (errors.length > 0) return { wrong: errors.slice(0, MAX_ERRORS).join('; ') }
  const each = oneEach(findings)
  return {
    changes: each.map(({ finding }) => finding),
    given: each.map(({ places }) => (places.length === 1 ? list[places[0]!]! : places.map((place) => list[place]!))),
  }
}

function readChange(source: string, change: Json, errors: string[]): Finding | undefined {
  if (!isJsonObject(change)) {
    errors.push('a change must be an object with an id')
    return undefined
  }
  for (const name of Object.keys(change)) {
    if (!FIELDS.has(name)) errors.push(`${cut(name, MAX_NAME)} is not a known field`)
  }
  /** A field, undefined where there is none. */
  const read = <T>(name: string, parse: (value: Json) => T | undefined, form: string): T | undefined => {
    const value = Object.hasOwn(change, name) ? change[name] : undefined
    if (value === undefined || value === null || value === '') return undefined
    const parsed = parse(value)
    if (parsed === undefined) errors.push(`${name} must be ${form}`)
    return parsed
  }
  const id = read('id', textOrInteger, 'a text or an integer')
  if (id === undefined && errors.length === 0) errors.push('id is required: what is the same in every message about it')
  const reason = read('reason', textOf, 'a text')
  const finding = findingOf(
    {
      source,
      alertId: identityOf(source, id),
      titles: [read('title', textOf, 'a text')],
      description: read('description', textOf, 'a text'),
      severity: read('severity', severityOfWord, `one of ${SEVERITIES.join(', ')}`) ?? 'medium',
      state: read('state', stateOf, 'active or resolved') ?? 'active',
      reason: reason && cut(reason, MAX_TEXT),
      context: contextOf(read('context', objectOf, 'an object of ECS names'), errors),
      url: read('url', webLink, 'an http or https URL'),
      account: read('account', textOrInteger, 'a text or an integer'),
      region: read('region', textOf, 'a text'),
      matchCount: read('match_count', (value) => countAt(value), 'an integer from 0 on'),
      firstSeen: read('first_seen', timeOf, 'a time'),
      updatedAt: read('updated_at', timeOf, 'a time'),
    },
    'id',
  )
  return 'unread' in finding ? undefined : finding
}

function contextOf(context: JsonObject | undefined, errors: string[]): ContextBuilder {
  const builder = new ContextBuilder()
  const add = (object: JsonObject, prefix: string) => {
    for (const [key, value] of Object.entries(object)) {
      const name = prefix + key
      if (name.split('.').includes('')) errors.push(`context.${cut(name, MAX_NAME)} is no name: a part of it is empty`)
      else if (isJsonObject(value)) add(value, `${name}.`)
      else if ([value].flat().every(isValue)) builder.addMapped(name, [value].flat())
      else errors.push(`context.${cut(name, MAX_NAME)} must be a text, a number, a boolean or a list of these`)
    }
  }
  if (context) add(context, '')
  return builder
}

/** A null in a context is no value, and no error. */
function isValue(value: Json): boolean {
  return value === null || typeof value !== 'object' || isLosslessNumber(value)
}

function objectOf(value: Json): JsonObject | undefined {
  return isJsonObject(value) ? value : undefined
}

function textOf(value: Json): string | undefined {
  return textAt(value)
}

function stateOf(value: Json): FindingState | undefined {
  return value === 'active' || value === 'resolved' ? value : undefined
}

function textOrInteger(value: Json): string | undefined {
  if (typeof value === 'string') return textAt(value)
  const text = typeof value === 'number' || isLosslessNumber(value) ? String(value) : ''
  return /^-?\d+$/.test(text) ? text : undefined
}
