/**
 * Text that strangers wrote, made fit for a receiver that shows it to people. Pure.
 *
 * Promise: what comes out is well-formed Unicode without control characters and without marks that reverse the reading
 * direction, no longer than allowed after escaping, and never cut inside a character or an escape.
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
/** A name or an address: browsers take braces and quotes in a host. */
const HOST = /^(?:[\w.-]+|\[[\da-f:]+\])$/
/** The longest link that is made; Slack takes 3,000 characters, others less. */
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
 * The escaped text, cut to a length; an ellipsis ends what was cut.
 * @param length in UTF-16 code units, of the escaped text: no receiver counts a text longer than that, whether it counts
 *   code units, code points or what is shown
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
 * The link that a text is, if it is an http or https URL and nothing else. One with credentials is none: its
 * beginning can pass for another host. What is returned is a URI of RFC 3986 and has no character that ends a link in
 * any markup.
 */
export function linkOf(text: string): string | undefined {
  const trimmed = text.trim()
  if (!/^https?:\/\/\S+$/i.test(trimmed) || !URL.canParse(trimmed)) return undefined
  const url = new URL(trimmed)
  if (url.username || url.password || !HOST.test(url.hostname)) return undefined
  const href = url.origin + encoded(url.pathname + url.search) + (url.hash && `#${encoded(url.hash.slice(1))}`)
  return href.length > MAX_LINK_LENGTH ? undefined : href
}

function plain(text: string): string {
  return text.toWellFormed().replace(DIRECTION_MARKS, '\ufffd')
}

/** What RFC 3986 allows in a path and a query, less what ends a link; browsers leave more as it is (`[`, a lone `%`). */
function encoded(part: string): string {
  return part.replace(/%(?![\da-f]{2})|[^\w\-.~:/?@!$&*+,;=%]/gi, percentEncoded)
}

function percentEncoded(char: string): string {
  return `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}
