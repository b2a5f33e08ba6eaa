/**
 * One spelling of a URL: the normalization of RFC 3986 section 6.2.2 (case, percent-encoding, dot segments) and 6.2.3 (default
 * port, empty path). Pure.
 *
 * Not the URL class: it also changes what RFC 3986 holds to be different (backslashes, tabs and spaces), and leaves
 * percent-encoded letters alone.
 */
import { domainToASCII } from 'node:url'
import { normalAddress } from '../platform/address.js'

export interface NormalUrl {
  text: string
  /** An address without brackets, or a name. */
  host: string
}

/** RFC 3986 appendix B, for URLs with an authority. */
const PARTS = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$/is
const HOST_AND_PORT = /^(\[[^\]]*\]|[^:]*)(?::(\d*))?$/s

const DEFAULT_PORTS: Readonly<Record<string, string>> = { http: '80', https: '443', ws: '80', wss: '443', ftp: '21' }

/** @returns undefined when the text is no absolute URL with an authority (`scheme://`) */
export function normalUrl(text: string): NormalUrl | undefined {
  const [, rawScheme = '', authority = '', path = '', query = '', fragment = ''] = PARTS.exec(text) ?? []
  if (rawScheme === '') return undefined
  const scheme = rawScheme.toLowerCase()
  const at = authority.lastIndexOf('@') + 1
  const userinfo = unescapeUnreserved(authority.slice(0, at))
  const [, rawHost, rawPort = ''] = HOST_AND_PORT.exec(authority.slice(at)) ?? []
  // An authority that is malformed stays as it is.
  const host = rawHost === undefined ? authority.slice(at) : normalHost(rawHost)
  const port = rawPort.replace(/^0+(?=\d)/, '')
  const suffix = port === '' || port === DEFAULT_PORTS[scheme] ? '' : `:${port}`
  const tail = unescapeUnreserved(query) + unescapeUnreserved(fragment)
  return {
    text: `${scheme}://${userinfo}${host}${suffix}${withoutDots(unescapeUnreserved(path))}${tail}`,
    host: host.replace(/^\[(.*)\]$/s, '$1'),
  }
}

/** Without case; IPv6 in one spelling; an international name as its ASCII form (RFC 5891), if it has one. */
function normalHost(raw: string): string {
  if (raw.startsWith('[')) {
    const address = normalAddress(raw.slice(1, -1))
    return address === undefined ? raw.toLowerCase() : `[${address}]`
  }
  // eslint-disable-next-line no-control-regex
  if (/[^\x00-\x7f]/.test(raw)) return asciiName(raw) ?? raw
  return unescapeUnreserved(unescapeUnreserved(raw).toLowerCase())
}

/** Longer than any name (RFC 1035 section 2.3.4). The cost of an ASCII form grows with the square of the length. */
const MAX_NAME_CHARS = 253

/**
 * The ASCII form of an international name (RFC 5891); undefined when there is none. Only of what is a name as a whole:
 * `domainToASCII` reads a host as the URL class does, up to a slash, and passes over tabs and line breaks.
 */
export function asciiName(text: string): string | undefined {
  const isName = text.length <= MAX_NAME_CHARS && /^[\w.*\u0080-\u{10ffff}-]*$/u.test(text)
  return (isName && domainToASCII(text)) || undefined
}

/**
 * Section 6.2.2.1 and 6.2.2.2: percent-encoded unreserved characters are decoded, the digits of the others are capitals. A text
 * with a `%` that encodes nothing stays as it is, since decoding could make an encoding of it.
 */
function unescapeUnreserved(text: string): string {
  if (/%(?![0-9a-f]{2})/i.test(text)) return text
  return text.replace(/%[0-9a-f]{2}/gi, (encoded) => {
    const char = String.fromCharCode(parseInt(encoded.slice(1), 16))
    return /[\w.~-]/.test(char) ? char : encoded.toUpperCase()
  })
}

/** Section 5.2.4 for a path that begins with a slash; an empty one is `/`. */
function withoutDots(path: string): string {
  const kept: string[] = []
  const segments = path.split('/').slice(1)
  for (const [i, segment] of segments.entries()) {
    const isDots = segment === '.' || segment === '..'
    if (segment === '..') kept.pop()
    if (!isDots) kept.push(segment)
    else if (i === segments.length - 1) kept.push('')
  }
  return `/${kept.join('/')}`
}
