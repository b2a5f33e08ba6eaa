/**
 * Collects the context of a finding: values by ECS names, each once.
 *
 * Guarantee: it takes texts, numbers and booleans as they are in the message (some in lower case, digits as a number, a
 * long text cut) and nothing else, at most `MAX_VALUES` a name and `MAX_TEXT` characters a text.
 */
import { isIP } from 'node:net'
import { isLosslessNumber } from 'lossless-json'
import type { ContextValue } from '../alert/context.js'
import type { Json } from '../platform/json.js'

const MAX_VALUES = 500
const MAX_TEXT = 4096
/** Names that a message or a mapping may make up, as those of labels. */
const MAX_OWN_NAMES = 200

/** How producers write that there is no value: Falco's, Inspector's. */
const NO_VALUE = new Set(['<NA>', 'N/A'])

type Kind = 'address' | 'number' | 'lower' | 'any'

interface Name {
  path: string[]
  kind: Kind
  /** The list of related values that it is copied to. */
  related: string | undefined
}

const LOWER_CASE = new Set(['network.direction', 'network.transport', 'cloud.provider', 'event.provider'])
const RELATED_HOSTS = new Set(['host.name', 'host.hostname', 'dns.question.name', 'threat.indicator.domain'])
const RELATED_USERS = new Set(['user.name', 'user.email'])

/** The names that the sources use, which are few. */
const NAMES = new Map<string, Name>()

export class ContextBuilder {
  readonly values: ContextValue[] = []
  cut = false
  readonly #seen = new Map<string, Set<Json>>()
  #ownNames = 0

  /** Adds a value, or those of a list, under a dotted ECS name; what is no value is left out. */
  add(name: string, value: Json | undefined): this {
    if (value === undefined) return this
    const known = nameOf(name)
    for (const entry of Array.isArray(value) ? value : [value]) this.#add(name, known, entry)
    return this
  }

  /** Adds a value under a name whose last part is the producer's (a label's, a dimension's). */
  addOwn(prefix: readonly string[], key: string, value: Json | undefined): void {
    const path = [...prefix, key]
    const name = path.join('\n')
    if (!this.#seen.has(name) && ++this.#ownNames > MAX_OWN_NAMES) this.cut = true
    else if (value !== undefined) this.#add(name, { path, kind: 'any', related: undefined }, value)
  }

  /** Adds values under a dotted name that an operator's mapping gives. There may be any number of such names. */
  addMapped(name: string, values: readonly Json[]): void {
    if (!this.#seen.has(name) && ++this.#ownNames > MAX_OWN_NAMES) {
      this.cut = true
      return
    }
    const read = readName(name)
    for (const value of values) this.#add(name, read, value)
  }

  /** Adds a file's hash under the algorithm that its length tells. */
  addHash(prefix: string, value: Json | undefined): void {
    if (typeof value !== 'string' || !/^[0-9a-f]{32,64}$/i.test(value)) return
    const algorithm = { 32: 'md5', 40: 'sha1', 64: 'sha256' }[value.length]
    if (algorithm !== undefined) this.add(`${prefix}.hash.${algorithm}`, value)
  }

  #add(name: string, { path, kind, related }: Name, entry: Json): void {
    const value = this.#read(entry, kind)
    if (value === undefined) return
    let seen = this.#seen.get(name)
    if (!seen) this.#seen.set(name, (seen = new Set()))
    const key = isLosslessNumber(value) ? `number ${value}` : value
    if (!seen.has(key)) {
      if (seen.size >= MAX_VALUES) {
        this.cut = true
        return
      }
      seen.add(key)
      this.values.push({ path, value })
    }
    if (related !== undefined) this.#add(related, nameOf(related), value)
  }

  #read(entry: Json, kind: Kind): Json | undefined {
    if (typeof entry !== 'string') {
      const isScalar = typeof entry === 'number' || typeof entry === 'boolean' || isLosslessNumber(entry)
      return isScalar && (kind === 'any' || (kind === 'number' && typeof entry !== 'boolean')) ? entry : undefined
    }
    const text = entry.trim()
    if (text === '' || NO_VALUE.has(text)) return undefined
    if (kind === 'address') return isIP(text) === 0 ? undefined : text
    if (kind === 'number') return /^\d{1,15}$/.test(text) ? Number(text) : undefined
    const cut = text.length > MAX_TEXT ? this.#cut(text) : text
    return kind === 'lower' ? cut.toLowerCase() : cut
  }

  #cut(text: string): string {
    this.cut = true
    return text.slice(0, MAX_TEXT).replace(/[\uD800-\uDBFF]$/, '')
  }
}

function nameOf(name: string): Name {
  let known = NAMES.get(name)
  if (!known) NAMES.set(name, (known = readName(name)))
  return known
}

function readName(name: string): Name {
  return { path: name.split('.'), kind: kindOf(name), related: relatedOf(name) }
}

function kindOf(name: string): Kind {
  if (/\.ip$/.test(name)) return 'address'
  if (/\.(port|pid|number)$/.test(name)) return 'number'
  return LOWER_CASE.has(name) ? 'lower' : 'any'
}

function relatedOf(name: string): string | undefined {
  if (name.startsWith('related.')) return undefined
  if (/\.ip$/.test(name)) return 'related.ip'
  if (/^(source|destination)\.domain$/.test(name) || RELATED_HOSTS.has(name)) return 'related.hosts'
  if (RELATED_USERS.has(name)) return 'related.user'
  // an image's digest names what runs, and is no sign of an attack
  return /\.hash\./.test(name) && !name.startsWith('container.') ? 'related.hash' : undefined
}
