/** The refusal of an invalid filter policy. Pure. */

export class FilterPolicyError extends Error {
  override readonly name = 'FilterPolicyError'
  /** JSON pointer (RFC 6901) to the wrong part of the policy; '' is the policy itself. */
  readonly path: string
  /** What is wrong there and how to correct it, for the author. */
  readonly reason: string

  constructor(path: string, reason: string) {
    super(`filter${path}: ${reason}`)
    this.path = path
    this.reason = reason
  }
}
