/**
 * Cleans untrusted text for receivers that show it to people. Pure.
 *
 * Guarantee: the result is well-formed Unicode without control characters and without marks that reverse the reading
 * direction, within its length after escaping, and never cut inside a character or an escape.
 */

/** Escapes one character (a code point) for a receiver's markup. */
export type Escape = (char: string) => string

/** Control characters and the separators of lines and paragraphs. */
const CONTROLS = /[\p{Cc}\p{Zl}\p{Zp}]+/gu
const CONTROLS_IN_LINE = /[^\P{Cc}\n]+/gu
const LINE_BREAKS = /\r\n?|[\u0085\p{Zl}\p{Zp}]/gu
/** Embeddings, overrides and isolates: with them "gpj.exe" reads "exe.jpg". */
const DIRECTION_MARKS = /[\u202a-\u202e\u2066-\u2069]/g
const ELLIPSIS = '…'
/** A name or an address. Stricter than URL parsers, which accept braces and quotes in a host. */
const HOST = /^(?:[\w.-]+|\[[\da-f:]+\])$/
/** Slack accepts links of 3,000 characters, others fewer. */
const MAX_LINK_LENGTH = 2000

/** The text on one line. */
export function oneLine(text: string): string {
  return plain(text).replace(CONTROLS, ' ').trim()
}

/** The text with its line breaks (as \n) and without other control characters. */
export function manyLines(text: string): string {
  return plain(text).replace(LINE_BREAKS, '\n').replace(CONTROLS_IN_LINE, ' ').trim()
}

/**
 * Escapes a text and cuts it to a length; a cut text ends with an ellipsis.
 * @param length in UTF-16 code units of the escaped text: the largest count, for receivers that count code units, code
 *   points or unescaped characters
 */
export function fit(text: string, length: number, escape: Escape = (char) => char): string {
  let fitted = ''
  let shorter = ''
  for (const char of text) {
    fitted += escape(char)
    if (fitted.length > length) return shorter + ELLIPSIS
    if (fitted.length < length) shorter = fitted
  }
  return fitted
}

/**
 * The link in a text that is an http or https URL and nothing else; otherwise undefined. A URL with credentials is
 * refused, since it can look like another host. The result is a URI (RFC 3986) without characters that end a link in any
 * markup.
 */
export function linkOf(text: string): string | undefined {
  const trimmed = text.trim()
  if (!/^https?:\/\/\S+$/i.test(trimmed) || !URL.canParse(trimmed)) return undefined
  const url = new URL(trimmed)
  if (url.username || url.password || !HOST.test(url.hostname)) return undefined
  const href = url.origin + encoded(url.pathname + url.search) + (url.hash && `#${encoded(url.hash.slice(1))}`)
  return href.length > MAX_LINK_LENGTH ? undefined : href
}

/** A time for people, such as "2026-01-15 10:00:00 UTC". */
export function timeText(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

function plain(text: string): string {
  return text.toWellFormed().replace(DIRECTION_MARKS, '\ufffd')
}

/** Encodes what RFC 3986 does not allow in a path or query, and what ends a link; URL parsers leave `[` and a lone `%`. */
function encoded(part: string): string {
  return part.replace(/%(?![\da-f]{2})|[^\w\-.~:/?@!$&*+,;=%]/gi, percentEncoded)
}

function percentEncoded(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
