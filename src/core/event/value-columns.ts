/**
 * The values of alert changes as the columns of a statement: array literals of PostgreSQL, which the drivers pass on as they are.
 *
 * Guarantee: a change of a hundred thousand values holds up the event loop no longer than one of few.
 */
import { keyOfIdentity, type ContextValues } from '../alert/context.js'
import { valueKey } from '../alert/value-key.js'
import { stringifyJson } from '../platform/json.js'
import { inSlices } from '../platform/slices.js'

/** Literals of the same length: text[], int[], bytea[], text[], text[] and bigint[]. */
export interface ValueColumns {
  alertIds: string
  /** From 1, for each alert. */
  ordinals: string
  keys: string
  paths: string
  values: string
  valueKeys: string
}

export async function valueColumns(
  changes: readonly { alertId: string; values: ContextValues }[],
): Promise<ValueColumns> {
  const alertIds: string[] = []
  const ordinals: number[] = []
  const keys: string[] = []
  const paths: string[] = []
  const values: string[] = []
  const valueKeys: string[] = []
  for (const { alertId, values: entries } of changes) {
    const id = quoted(alertId)
    let ordinal = 0
    // most values share the list that is their path with the one before
    let [path, pathText]: [readonly string[] | undefined, string] = [undefined, '']
    await inSlices(entries, ([identity, entry]) => {
      if (entry.path !== path) [path, pathText] = [entry.path, quoted(JSON.stringify(entry.path))]
      alertIds.push(id)
      ordinals.push(++ordinal)
      keys.push(`"\\\\x${keyOfIdentity(identity).toString('hex')}"`)
      paths.push(pathText)
      values.push(quoted(stringifyJson(entry.value)))
      valueKeys.push(String(valueKey(entry) ?? 'null'))
    })
  }
  return {
    alertIds: literal(alertIds),
    ordinals: literal(ordinals),
    keys: literal(keys),
    paths: literal(paths),
    values: literal(values),
    valueKeys: literal(valueKeys),
  }
}

function literal(elements: readonly (string | number)[]): string {
  return `{${elements.join()}}`
}

/** PostgreSQL's manual, 8.15.2: an element in quotes has a backslash before quotes and backslashes. */
function quoted(text: string): string {
  return `"${/["\\]/.test(text) ? text.replace(/["\\]/g, '\\$&') : text}"`
}
