/** The size limits of a filter policy, checked before it is parsed. Pure. */
import { isLosslessNumber } from 'lossless-json'
import { isJsonObject } from '../platform/json.js'
import { FilterPolicyError } from './policy-error.js'
import { memberPath } from '../platform/json-pointer.js'

/** Strings, numbers, booleans and nulls in one policy. (SNS limits combinations, to 150; matching here does not multiply.) */
const MAX_VALUES = 1000
/** Levels of objects and lists; `{"a": ["x"]}` has two. */
const MAX_NESTING = 32
/** Characters of a string, a key, or a number. */
const MAX_LENGTH = 2048

/** @throws FilterPolicyError for a policy that is too large or not JSON */
export function assertWithinLimits(policy: unknown): void {
  let values = 0
  const visit = (value: unknown, path: string, nesting: number) => {
    if (Array.isArray(value) || isJsonObject(value)) {
      if (nesting >= MAX_NESTING) throw new FilterPolicyError(path, `nested deeper than ${MAX_NESTING} levels`)
      const members = Object.entries(value)
      for (const [key, member] of members) {
        assertLength(key, path)
        visit(member, memberPath(path, key), nesting + 1)
      }
      if (members.length > 0) return
    } else assertLeaf(value, path)
    if (++values > MAX_VALUES) {
      throw new FilterPolicyError(
        path,
        `more than ${MAX_VALUES} values in one filter: use a prefix, a wildcard or a range`,
      )
    }
  }
  visit(policy, '', 0)
}

function assertLeaf(value: unknown, path: string): void {
  if (typeof value === 'string' || isLosslessNumber(value)) return assertLength(String(value), path)
  if (value === null || typeof value === 'boolean' || Number.isFinite(value)) return
  throw new FilterPolicyError(path, 'is not a value of JSON, or a number too large to be one')
}

function assertLength(text: string, path: string): void {
  if (text.length > MAX_LENGTH) throw new FilterPolicyError(path, `longer than ${MAX_LENGTH} characters`)
}
