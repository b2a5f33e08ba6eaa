/**
 * How much a filter policy may cost. Pure.
 *
 * Amazon SNS bounds the combinations of values (150) and the wildcards of a policy, and EventBridge the states of its wildcards,
 * since both match against many policies at once. What costs here is to compare one value many times, so that is bounded:
 * constants, prefixes, suffixes and networks are compiled and cost nothing each.
 */
import type { FieldError } from '../platform/errors.js'
import { memberPath } from '../platform/json-pointer.js'
import type { JsonObject } from '../platform/json.js'
import { FilterPolicyError } from './policy-error.js'
import { parseFilterPolicy, type Field, type FilterPolicy } from './policy.js'

/** How often one value may be compared. With it the worst policy takes less than 50 ms for a body of 256 KiB (bench: filters). */
export const MAX_COMPARISONS = 50

/**
 * What is wrong with the filter in a field of a request, whose JSON pointer is given; null is no filter.
 * @param isChanged false for one that is stored already, whose cost does not count
 */
export function filterErrors(filter: JsonObject | null, field: string, isChanged = true): FieldError[] {
  try {
    const policy = filter === null ? undefined : parseFilterPolicy(filter)
    if (policy && isChanged) assertAffordable(policy)
    return []
  } catch (error) {
    if (!(error instanceof FilterPolicyError)) throw error
    return [{ path: field + error.path, detail: error.reason }]
  }
}

/**
 * Bounds what a policy that is to be stored costs. One that was stored before the bound goes on working.
 * @throws FilterPolicyError naming the conditions with which a field is compared too often
 */
export function assertAffordable(policy: FilterPolicy): void {
  const costs = new Map<string, number>()
  const add = (fieldPath: string, cost: number, field: Field) => {
    const sum = (costs.get(fieldPath) ?? 0) + cost
    if (sum > MAX_COMPARISONS) throw new FilterPolicyError(field.path, tooOften(fieldPath))
    costs.set(fieldPath, sum)
  }
  const visit = ({ fields, choices }: FilterPolicy, path: string) => {
    for (const field of fields) {
      const inner = memberPath(path, field.key)
      if ('policy' in field) {
        add(inner, costOfElement(field.policy), firstField(field.policy))
        visit(field.policy, inner)
      } else add(inner, 1 + field.cost, field)
    }
    for (const alternative of choices.flat()) visit(alternative, path)
  }
  visit(policy, '')
}

/** What an element of a list of objects takes: a look at each field, in each alternative. */
function costOfElement({ fields, choices }: FilterPolicy): number {
  return choices.flat().reduce((sum, alternative) => sum + costOfElement(alternative), 1 + fields.length)
}

function firstField({ fields, choices }: FilterPolicy): Field {
  const [first] = fields
  if (!first) return firstField(choices[0]![0]!)
  return 'policy' in first ? firstField(first.policy) : first
}

function tooOften(field: string): string {
  return (
    `the filter compares ${field} more than ${MAX_COMPARISONS} times: put its values into one list and share them between ` +
    'alternatives; constants, prefixes, suffixes and wildcards with one * at an end count once together, other wildcards, ' +
    'numeric and anything-but once each'
  )
}
