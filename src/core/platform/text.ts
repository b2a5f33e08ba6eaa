/** Text from outside, made fit for a PostgreSQL text column and a log line. */

/** Characters of a title or subject that are kept in its own column; the payload has all of them. */
const LABEL_LENGTH = 500

/** Text that PostgreSQL can store: NUL and lone surrogates become U+FFFD. */
export function storable(text: string): string {
  return text.replaceAll('\u0000', '\ufffd').toWellFormed()
}

/** A short, storable form of a text, for columns that are listed and searched. */
export function labelOf(text: string): string {
  return storable(text.slice(0, LABEL_LENGTH))
}
