/** Received bytes as text, and text made storable in a PostgreSQL text column. Pure. */

/** Characters of a title that are kept in its own column; the payload keeps all of them. */
const LABEL_LENGTH = 500

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * The text of bytes in UTF-8, without a byte order mark (RFC 8259 section 8.1).
 * @throws TypeError when they are something else: replacing what is wrong would make different texts equal
 */
export function utf8Text(bytes: Uint8Array): string {
  return utf8.decode(bytes)
}

/** Text that PostgreSQL can store: NUL and lone surrogates become U+FFFD. */
export function storable(text: string): string {
  return text.replaceAll('\u0000', '\ufffd').toWellFormed()
}

/** A text that is storable and cut to `LABEL_LENGTH`, for columns that are listed and searched. */
export function labelOf(text: string): string {
  return storable(text.slice(0, LABEL_LENGTH))
}
