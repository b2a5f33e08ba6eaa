/**
 * The kind of a value, and its one spelling. Pure.
 *
 * Guarantee: the normal form of a normal form is itself; two values have the same one exactly when they are spellings of the
 * same thing. What the rules of no kind cover is `other` and stays as it is, so a doubt costs a repetition, never a value.
 *
 * The value decides about its kind, so that it is the same at every path. The field helps only where the value is ambiguous:
 * a name without a dot is a domain in a field of hosts, a few hexadecimal digits are a hash in a field of hashes, and
 * `Setup.exe` is no domain in a field of other names.
 */
import { isPrivateAddress, isPrivateNetwork, normalAddress, normalNetwork } from '../platform/address.js'
import { matchesPath } from '../platform/glob.js'
import { canonicalJson, type Json } from '../platform/json.js'
import { HASH_FIELDS, HOST_FIELDS, NAME_FIELDS } from './ecs-fields.js'
import { asciiName, normalUrl } from './url.js'

export type IndicatorKind = 'address' | 'hash' | 'domain' | 'url' | 'email' | 'other'

export interface NormalForm {
  kind: IndicatorKind
  text: string
  /** True when it is, or leads to, an address or network that is not public. */
  isPrivate: () => boolean
}

const never = () => false

/** What a field says about its values; undefined: nothing. */
export type FieldKind = 'hash' | 'host' | 'name' | undefined

const parse = (patterns: readonly string[]) => patterns.map((pattern) => pattern.split('.'))
const FIELDS = [
  { kind: 'hash', patterns: parse(HASH_FIELDS) },
  { kind: 'host', patterns: parse(HOST_FIELDS) },
  { kind: 'name', patterns: parse(NAME_FIELDS) },
] as const

/** @param path where a value is, such as `['file', 'hash', 'md5']` */
export function fieldKind(path: readonly string[]): FieldKind {
  return FIELDS.find(({ patterns }) => patterns.some((pattern) => matchesPath(pattern, path)))?.kind
}

/** @param field of the path where the value is */
export function normalForm(field: FieldKind, value: Json): NormalForm {
  if (typeof value !== 'string') return { kind: 'other', text: canonicalJson(value), isPrivate: never }
  return (
    (field === 'hash' ? hashOf(value, 1) : undefined) ??
    urlOf(value) ??
    addressOf(value) ??
    emailOf(value) ??
    hashOf(value, LEAST_DIGITS) ??
    (field === 'name' ? undefined : domainOf(value, field === 'host')) ?? {
      kind: 'other',
      text: JSON.stringify(value),
      isPrivate: never,
    }
  )
}

function urlOf(text: string): NormalForm | undefined {
  const url = normalUrl(text)
  return url && { kind: 'url', text: url.text, isPrivate: () => isPrivateAddress(url.host) || isLocalhost(url.host) }
}

/** An address, in brackets or not, with a port or not, or a network. */
function addressOf(value: string): NormalForm | undefined {
  const network = normalNetwork(value)
  if (network !== undefined) return { kind: 'address', text: network, isPrivate: () => isPrivateNetwork(network) }
  const [, host = value, port] = /^(\[.*\]|[^:]*):0*(\d{1,5})$/s.exec(value) ?? []
  const address = normalAddress(/^\[.*\]$/s.test(host) ? host.slice(1, -1) : host)
  if (address === undefined) return undefined
  const bracketed = address.includes(':') ? `[${address}]` : address
  return {
    kind: 'address',
    text: port === undefined ? address : `${bracketed}:${port}`,
    isPrivate: () => isPrivateAddress(address),
  }
}

/** RFC 5321 section 2.4: the local part has case, the domain has none. */
function emailOf(value: string): NormalForm | undefined {
  const [, local = '', host = ''] = /^([^\s@]+)@([^\s@]+)$/.exec(value) ?? []
  const literal = /^\[(?:ipv6:)?(.*)\]$/i.exec(host)?.[1]
  const address = literal === undefined ? undefined : normalAddress(literal)
  if (address !== undefined) {
    return { kind: 'email', text: `${local}@[${address}]`, isPrivate: () => isPrivateAddress(address) }
  }
  const name = local === '' ? undefined : nameOf(host)
  return name === undefined ? undefined : { kind: 'email', text: `${local}@${name}`, isPrivate: never }
}

/** Digits of a hash where the field does not say that it is one: MD5 has the fewest. */
const LEAST_DIGITS = 32
/** The digests that are written `sha256:...`, as of container images, with their hexadecimal digits. */
const DIGEST_DIGITS: Readonly<Record<string, number>> = {
  md5: 32,
  sha1: 40,
  sha224: 56,
  sha256: 64,
  sha384: 96,
  sha512: 128,
}

/** Hexadecimal digits, in pairs with colons too; TLSH (`T1...`). Other hashes (ssdeep) have case. */
function hashOf(value: string, leastDigits: number): NormalForm | undefined {
  const text = value.toLowerCase()
  const [, algorithm = '', digest = ''] = /^(\w+):([0-9a-f]+)$/.exec(text) ?? []
  const hex =
    DIGEST_DIGITS[algorithm] === digest.length
      ? digest
      : /^[0-9a-f]{2}(:[0-9a-f]{2}){7,}$/.test(text)
        ? text.replaceAll(':', '')
        : text
  const isHash = (/^[0-9a-f]+$/.test(hex) && hex.length >= leastDigits) || /^t1[0-9a-f]{70}$/.test(hex)
  return isHash ? { kind: 'hash', text: hex, isPrivate: never } : undefined
}

/** A name of the DNS, with a port in a field of hosts. */
function domainOf(value: string, isHostField: boolean): NormalForm | undefined {
  const [, host = value, port] = (isHostField && /^([^:]*):0*(\d{1,5})$/.exec(value)) || []
  const name = nameOf(host)
  if (name === undefined || !(isHostField || /\.([a-z]{2,}|xn--[a-z0-9-]+)$/.test(name))) return undefined
  return { kind: 'domain', text: port === undefined ? name : `${name}:${port}`, isPrivate: () => isLocalhost(name) }
}

/** A host name without case and without the root's dot, an international one as its ASCII form (RFC 5891). */
function nameOf(value: string): string | undefined {
  // eslint-disable-next-line no-control-regex
  const ascii = /[^\x00-\x7f]/.test(value) ? (asciiName(value) ?? '') : value.toLowerCase()
  const name = ascii.endsWith('.') ? ascii.slice(0, -1) : ascii
  const isName = name.length <= 253 && /^(\*\.)?[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(name)
  return isName ? name : undefined
}

/** RFC 6761 section 6.3: names under localhost always lead to the host itself. */
function isLocalhost(name: string): boolean {
  return /(^|\.)localhost\.?$/.test(name)
}
