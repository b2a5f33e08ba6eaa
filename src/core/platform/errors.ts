/**
 * Refusals: everything this service says no to, as data a caller can act on.
 *
 * Promise: a refusal names what was wrong and how to mend it, and carries the HTTP status that goes with it; one error
 * handler (routes/problems.ts) turns it into an RFC 9457 problem document. Anything that is not a Refusal is a bug.
 */

/** Every code a caller may match on; the second half of a problem's `type` URI. */
export type RefusalCode =
  | 'invalid_request'
  | 'unauthorized'
  | 'forbidden'
  | 'not_found'
  | 'method_not_allowed'
  | 'request_timeout'
  | 'conflict'
  | 'idempotency_mismatch'
  | 'payload_too_large'
  | 'uri_too_long'
  | 'headers_too_large'
  | 'unsupported_media_type'
  | 'malformed_message'
  | 'raw_delivery'
  | 'topic_not_allowed'
  | 'certificate_not_trusted'
  | 'signature_mismatch'
  | 'stale_message'
  | 'subscribe_url_not_trusted'
  | 'undecided'

/** One field that was wrong: `path` is a JSON pointer (RFC 6901) into the request's body, query or parameters. */
export interface FieldError {
  path: string
  detail: string
}

/** The HTTP status that each code is answered with. */
export const STATUS_OF: Readonly<Record<RefusalCode, number>> = {
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  method_not_allowed: 405,
  request_timeout: 408,
  conflict: 409,
  idempotency_mismatch: 422,
  payload_too_large: 413,
  uri_too_long: 414,
  headers_too_large: 431,
  unsupported_media_type: 415,
  malformed_message: 400,
  raw_delivery: 400,
  topic_not_allowed: 403,
  certificate_not_trusted: 403,
  signature_mismatch: 403,
  stale_message: 403,
  subscribe_url_not_trusted: 403,
  undecided: 503,
}

export class Refusal extends Error {
  readonly code: RefusalCode
  readonly status: number
  readonly errors: FieldError[]

  /**
   * @param detail what was wrong and how to mend it, for a person; never a secret, never a stack
   * @param options.errors the fields at fault
   * @param options.cause the error underneath, for the log alone
   */
  constructor(code: RefusalCode, detail: string, options: { errors?: FieldError[]; cause?: unknown } = {}) {
    super(detail, { cause: options.cause })
    this.name = 'Refusal'
    this.code = code
    this.status = STATUS_OF[code]
    this.errors = options.errors ?? []
  }
}

/** A setting that stops the process at start; the message is the one line that the operator reads. */
export class SettingError extends Error {
  override readonly name = 'SettingError'
}

/** The message of anything thrown, on one line. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.replace(/\s+/g, ' ').trim()
}
