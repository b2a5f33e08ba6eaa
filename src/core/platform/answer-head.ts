/**
 * The head of an HTTP/1.1 answer, as far as undici's parser does not handle it: interim answers, and the reason why a
 * head was refused. Pure.
 */

/** Bytes that are not an HTTP answer to the request. */
export class InvalidAnswer extends Error {}

/** Limit for the headers of an answer, and for all interim answers before it together. */
export const MAX_HEAD_BYTES = 64 * 1024

const HEAD_END = '\r\n\r\n'
const STATUS_PREFIX = 'HTTP/1.1 1'
const STATUS_LENGTH = STATUS_PREFIX.length + 2
const NOTHING: Buffer = Buffer.alloc(0)

export interface InterimFilter {
  /** To be called when a request is sent: the next bytes are the start of its answer. */
  begin(): void
  /**
   * Removes the interim answers (status 1xx, RFC 9110 section 15.2) before an answer: undici closes the connection on a
   * 100 Continue, because it never asks for one. Keeps back at most the start of a status line until more bytes come.
   * @throws InvalidAnswer if interim answers are too long, or if one is a 101
   */
  strip(chunk: Buffer): Buffer
}

export function createInterimFilter(): InterimFilter {
  /** False from the start of the answer until the next request. */
  let isFiltering = false
  /** The status line of an interim answer was read, the end of its headers was not. */
  let isInterim = false
  let kept = NOTHING
  let removedBytes = 0

  return {
    begin() {
      isFiltering = true
      isInterim = false
      kept = NOTHING
      removedBytes = 0
    },
    strip(chunk) {
      if (!isFiltering) return chunk
      let bytes = kept.length === 0 ? chunk : Buffer.concat([kept, chunk])
      kept = NOTHING
      while (isInterim || startsInterim(bytes)) {
        const end = bytes.indexOf(HEAD_END)
        isInterim = end < 0
        const rest = isInterim ? bytes.subarray(1 - HEAD_END.length) : bytes.subarray(end + HEAD_END.length)
        removedBytes += bytes.length - rest.length
        if (removedBytes > MAX_HEAD_BYTES) {
          throw new InvalidAnswer(`more than ${MAX_HEAD_BYTES} bytes of interim answers`)
        }
        bytes = rest
        if (isInterim) break
      }
      if (isInterim || mayStartInterim(bytes)) {
        kept = bytes
        return NOTHING
      }
      isFiltering = false
      return bytes
    },
  }
}

/** @throws InvalidAnswer for a 101, after which the connection would not speak HTTP any more */
function startsInterim(bytes: Buffer): boolean {
  // Nearly every answer ends here, before a text is made of it.
  if (bytes[STATUS_PREFIX.length - 1] !== 0x31) return false
  const [, code] = /^HTTP\/1\.[01] (1\d\d)/.exec(bytes.subarray(0, STATUS_LENGTH).toString('latin1')) ?? []
  if (code === '101') throw new InvalidAnswer('101 Switching Protocols, which was not asked for')
  return code !== undefined
}

/** Whether more bytes are needed to decide. */
function mayStartInterim(bytes: Buffer): boolean {
  if (bytes.length >= STATUS_LENGTH) return false
  return /^HTTP\/1\.[01] 1\d*$/.test(bytes.toString('latin1') + STATUS_PREFIX.slice(bytes.length))
}

/**
 * Why a head that has a Content-Length was refused, in the words of llhttp. undici replaces them by a message about the
 * length of the body.
 * @param answer its first bytes, as Latin-1
 */
export function headFault(answer: string): string {
  const [head = ''] = answer.split(HEAD_END)
  const names = head.split('\r\n').map((line) => line.split(':', 1)[0]!.toLowerCase())
  const lengths = names.filter((name) => name === 'content-length').length
  const fault = names.includes('transfer-encoding')
    ? "Transfer-Encoding can't be present with Content-Length"
    : lengths > 1 && 'Duplicate Content-Length'
  return `Response does not match the HTTP/1.1 protocol${fault ? ` (${fault})` : ''}`
}
