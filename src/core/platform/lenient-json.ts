/**
 * JSON as scripts write it: with a byte order mark, and with the NaN and Infinity of Python and JavaScript. Pure.
 *
 * Guarantee: a text that is JSON (RFC 8259) means the same as to `parseJson`.
 */
import { endOfString, parseJson, TooDeepError, type Json } from './json.js'

const BYTE_ORDER_MARK = '\ufeff'
const QUOTE = 0x22
/** What Python's json.dumps writes for floats that are no number of JSON. */
const NON_FINITE = /(?:NaN|-?Infinity)(?![\w$])/y

/**
 * Parses a text that is JSON, or would be but for a byte order mark (RFC 8259 section 8.1 lets a parser ignore it) or
 * for NaN, Infinity and -Infinity. These become the texts "NaN", "Infinity" and "-Infinity", as ProtoJSON writes them: a
 * null would say that there was no value.
 * @throws SyntaxError when it is neither; TooDeepError when it nests too deep
 */
export function parseLenientJson(text: string): Json {
  const json = text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text
  try {
    return parseJson(json)
  } catch (error) {
    if (error instanceof TooDeepError || !/NaN|Infinity/.test(json)) throw error
    return parseJson(quoteNonFinite(json))
  }
}

/** The text with quotes around each NaN and Infinity that is not in a string. */
function quoteNonFinite(text: string): string {
  const parts: string[] = []
  let start = 0
  for (let i = 0; i < text.length; i++) {
    if (text.charCodeAt(i) === QUOTE) {
      i = endOfString(text, i)
      continue
    }
    NON_FINITE.lastIndex = i
    const [name] = NON_FINITE.exec(text) ?? []
    if (name === undefined) continue
    parts.push(text.slice(start, i), `"${name}"`)
    start = i + name.length
    i = start - 1
  }
  return parts.join('') + text.slice(start)
}
