/** What is said about a filter policy that cannot be taken. Pure. */

export class FilterPolicyError extends Error {
  override readonly name = 'FilterPolicyError'
  /** JSON pointer (RFC 6901) to the place at fault inside the policy; '' is the policy itself. */
  readonly path: string
  /** What is wrong there and how to mend it, for a person. */
  readonly reason: string

  constructor(path: string, reason: string) {
    super(`filter${path}: ${reason}`)
    this.path = path
    this.reason = reason
  }
}
