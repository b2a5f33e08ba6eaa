/**
 * Errors: the refusals of this service, with a code that callers can match on, and errors in settings.
 *
 * Guarantee: a refusal names what was wrong and how to fix it, and has an HTTP status. One error handler
 * (routes/problems.ts) turns it into an RFC 9457 problem document. Any other error in a request is a bug.
 */

/** The codes of refusals; a problem's `type` URI ends with one. */
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
  | 'too_many_requests'
  | 'unsupported_media_type'
  | 'malformed_message'
  | 'raw_delivery'
  | 'topic_not_allowed'
  | 'topic_pending'
  | 'too_many_hops'
  | 'certificate_not_trusted'
  | 'signature_mismatch'
  | 'signature_version'
  | 'stale_message'
  | 'subscribe_url_not_trusted'
  | 'undecided'

/** An invalid field: `path` is a JSON pointer (RFC 6901) into the request's body, query or parameters. */
export interface FieldError {
  path: string
  detail: string
}

/** The HTTP status of each code. */
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
  too_many_requests: 429,
  unsupported_media_type: 415,
  malformed_message: 400,
  raw_delivery: 400,
  topic_not_allowed: 403,
  topic_pending: 503,
  too_many_hops: 403,
  certificate_not_trusted: 403,
  signature_mismatch: 403,
  signature_version: 403,
  stale_message: 403,
  subscribe_url_not_trusted: 403,
  undecided: 503,
}

export class Refusal extends Error {
  readonly code: RefusalCode
  readonly status: number
  readonly errors: FieldError[]

  /**
   * @param detail what was wrong and how to fix it; sent to the client, so it must hold no secret and no stack trace
   * @param options.errors the invalid fields
   * @param options.cause the underlying error; logged, never sent to the client
   */
  constructor(code: RefusalCode, detail: string, options: { errors?: FieldError[]; cause?: unknown } = {}) {
    super(detail, { cause: options.cause })
    this.name = 'Refusal'
    this.code = code
    this.status = STATUS_OF[code]
    this.errors = options.errors ?? []
  }
}

/**
 * Refuses a request with wrong fields, if there are any.
 * @throws Refusal 'invalid_request' that names each
 */
export function refuseFields(errors: FieldError[]): void {
  if (errors.length === 0) return
  const detail = errors.map(({ path, detail }) => `${path.slice(1)} ${detail}`).join('; ')
  throw new Refusal('invalid_request', detail, { errors })
}

/** True for an error that says nothing of the request: the database, the queue or another server could not be asked now. */
export function isUndecided(error: unknown): error is Refusal {
  return error instanceof Refusal && error.code === 'undecided'
}

/** An invalid setting, which stops the process at start; the message is printed as one line. */
export class SettingError extends Error {
  override readonly name = 'SettingError'
}

/** The message of any thrown value, on one line. */
export function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.replace(/\s+/g, ' ').trim()
}
