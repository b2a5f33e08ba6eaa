/**
 * Reads and validates the file of `alert-relay apply` (YAML 1.2). Pure.
 *
 *     webhooks:
 *       - name: soar                        # required and unique
 *         url: https://soar.example.com/hooks/alerts
 *         auth: { type: bearer, token: '${env:SOAR_TOKEN}' }
 *
 *     sources:
 *       - { name: acme, filter: { product: [acme] }, mapping: '{ "id": incident.id }' }
 *
 * Each entry is a body of POST /v1/webhooks or /v1/sources; absent fields have their defaults. Any string may contain
 * `${env:NAME}`. One of the lists may be left out.
 *
 * Guarantee: everything that can be checked without a relay is checked, and every problem is reported with its line. The
 * work on a hostile file is bounded.
 */
import { isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Document } from 'yaml'
import { messageOf, type FieldError } from '../core/platform/errors.js'
import { isJsonObject, type Json } from '../core/platform/json.js'
import { memberPath } from '../core/platform/json-pointer.js'
import {
  MAX_VALUES,
  readSource,
  readWebhook,
  TooMuch,
  type Desired,
  type DesiredSource,
  type Entry,
  type ReadContext,
  type Variables,
} from './registry-entry.js'

/** The lists of the file, in its order; undefined: the file does not have it. */
export interface RegistryFile {
  webhooks: Desired[] | undefined
  sources: DesiredSource[] | undefined
}

/** A problem of the file, with its line. */
export interface Problem {
  line: number
  text: string
}

/** @returns what is in the file, or all its problems, at least one */
export function readRegistryFile(text: string, env: Variables): RegistryFile | { problems: Problem[] } {
  const lines = new LineCounter()
  const at = (line: number, text: string) => ({ problems: [{ line, text }] })
  try {
    const document = parseDocument(text, { ...YAML_OPTIONS, lineCounter: lines })
    const faults = [...document.errors, ...document.warnings]
    if (faults.length > 0) {
      return {
        problems: faults.map(({ pos: [offset], message }) => {
          const { line, col } = lines.linePos(offset)
          return { line, text: `column ${col}: ${message}` }
        }),
      }
    }
    return readLists(document.toJS({ maxAliasCount: -1 }), env, (pointer) => lineAt(document, lines, pointer))
  } catch (error) {
    if (error instanceof RangeError) return at(1, 'nests too deep')
    if (error instanceof TooMuch || error instanceof ReferenceError) return at(1, messageOf(error))
    throw error
  }
}

/** Only the core schema of YAML: no dates, binary, merge keys or custom tags. */
const YAML_OPTIONS = {
  version: '1.2',
  schema: 'core',
  merge: false,
  resolveKnownTags: false,
  stringKeys: true,
  uniqueKeys: true,
  prettyErrors: false,
  logLevel: 'error',
} as const

function readLists(
  file: unknown,
  env: Variables,
  lineOf: (pointer: string) => number,
): RegistryFile | { problems: Problem[] } {
  const isList = (list: unknown) => list === undefined || Array.isArray(list)
  const { webhooks, sources, ...others } = isJsonObject(file) ? file : {}
  if ((webhooks ?? sources) === undefined || !isList(webhooks) || !isList(sources)) {
    return { problems: [{ line: 1, text: 'must hold a list: webhooks, or sources, or both' }] }
  }
  const problems: Problem[] = Object.keys(others).map((key) => {
    return { line: lineOf(memberPath('', key)), text: `${key} is not a known field` }
  })
  const context = { env, budget: { values: MAX_VALUES } }
  const read = {
    webhooks: readList('webhook', webhooks as Json[] | undefined, readWebhook, { context, lineOf, problems }),
    sources: readList('source', sources as Json[] | undefined, readSource, { context, lineOf, problems }),
  }
  return problems.length > 0 ? { problems: problems.sort((a, b) => a.line - b.line) } : read
}

/** @param to.problems those of the list are added to it */
function readList<Wanted extends Entry>(
  noun: 'webhook' | 'source',
  list: Json[] | undefined,
  read: (entry: Json, context: ReadContext) => Omit<Wanted, 'lineOf'> | FieldError[],
  { context, lineOf, problems }: { context: ReadContext; lineOf: (pointer: string) => number; problems: Problem[] },
): Wanted[] | undefined {
  const desired = list?.flatMap((entry, index) => {
    const lineAtPath = (path: string) => lineOf(`/${noun}s/${index}${path}`)
    const one = read(entry, context)
    if (!Array.isArray(one)) return { ...one, lineOf: lineAtPath } as Wanted
    const who = isJsonObject(entry) && typeof entry.name === 'string' ? entry.name : `${noun} ${index + 1}`
    problems.push(
      ...one.map(({ path, detail }) => ({
        line: lineAtPath(path),
        text: `${who}: ${[path.slice(1), detail].filter(Boolean).join(' ')}`,
      })),
    )
    return []
  })
  problems.push(...repeatedNames(noun, desired ?? []))
  return desired
}

function repeatedNames(noun: string, desired: readonly Entry[]): Problem[] {
  const first = new Map<string, number>()
  return desired.flatMap(({ name, lineOf }) => {
    const line = lineOf('/name')
    const before = first.get(name)
    if (before === undefined) first.set(name, line)
    return before === undefined ? [] : [{ line, text: `${name}: name is that of the ${noun} at line ${before}` }]
  })
}

/** The line of the key or list entry at the pointer; of the nearest ancestor when there is none. */
function lineAt(document: Document, lines: LineCounter, pointer: string): number {
  let node: unknown = document.contents
  let offset = 0
  for (const segment of pointer.split('/').slice(1)) {
    const key = segment.replaceAll('~1', '/').replaceAll('~0', '~')
    const [named, value] = childOf(node, key)
    if (!isNode(named)) break
    offset = named.range?.[0] ?? offset
    node = value
  }
  return lines.linePos(offset).line
}

/** @returns the node that has the child's line (the key of a map, the entry of a list), and the child */
function childOf(node: unknown, key: string): [unknown, unknown] {
  if (isSeq(node)) return [node.items[Number(key)], node.items[Number(key)]]
  const pair = isMap(node) ? node.items.find(({ key: name }) => isScalar(name) && name.value === key) : undefined
  return [pair?.key, pair?.value]
}
