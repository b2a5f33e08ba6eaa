/**
 * The part of a message that one of its findings was read from: what is stored and sent of it. Pure.
 *
 * A message of 100 findings of 2 KB is 100 events of 2 KB and its envelope, not 100 of 200 KB; and a filter on the message
 * selects by this finding alone.
 */
import { isJsonObject, stringifyJson, type Json } from '../platform/json.js'

/** What may be repeated of a message in all its parts, in characters: above it a part is the finding's element alone. */
const MAX_REPEATED = 262_144

/**
 * The message once for each of its findings, with their elements of its list alone and all else as it is.
 * @param path the keys that lead to the list
 * @param places by finding, where in the list it was read
 */
export function partsOf(message: Json, path: readonly string[], places: readonly (readonly number[])[]): Json[] {
  const list = path.reduce<Json | undefined>((at, key) => (isJsonObject(at) ? at[key] : undefined), message)
  if (places.length === 1 || !Array.isArray(list)) return places.map(() => message)
  const isRepeated = stringifyJson(withList(message, path, [])).length * places.length <= MAX_REPEATED
  return places.map((own) => {
    const elements = own.map((place) => list[place] ?? null)
    return isRepeated ? withList(message, path, elements) : elements.length === 1 ? elements[0]! : elements
  })
}

/**
 * The message once for each of several findings that no list in it has. Where that is too much, the first has the message, and
 * each other one what it was read as.
 */
export function repeated(message: Json, readAs: readonly Json[]): Json[] {
  const isRepeated = readAs.length === 1 || stringifyJson(message).length * readAs.length <= MAX_REPEATED
  return readAs.map((own, index) => (isRepeated || index === 0 ? message : own))
}

function withList(message: Json, [key, ...rest]: readonly string[], list: Json[]): Json {
  if (key === undefined || !isJsonObject(message)) return list
  return { ...message, [key]: withList(message[key] ?? null, rest, list) }
}
