/**
 * What is in a list and in the lists in it, for policies: which element stands where does not matter to them. Pure.
 *
 * Guarantee: a long list is read once, however many policies and alternatives look at it, and equal values are compared once.
 */
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import type { Leaf } from './operators.js'

export interface ListContent {
  /** The values that are neither objects nor lists, each once. */
  leaves: readonly Leaf[]
  /** The objects that have members. */
  objects: readonly JsonObject[]
  /** Whether there is an object or a list without members. */
  hasEmptyObject: boolean
  hasEmptyList: boolean
  /** Whether an object has a value in it, at any depth; undefined until it is asked for. */
  hasFullObject: boolean | undefined
}

/** Shorter lists are read again: that takes less than to find what was kept. */
export const MIN_KEPT_LENGTH = 16

const contents = new WeakMap<readonly Json[], ListContent>()

/** @param list is not changed afterwards */
export function contentOf(list: readonly Json[]): ListContent {
  let content = contents.get(list)
  if (!content) contents.set(list, (content = read(list)))
  return content
}

function read(list: readonly Json[]): ListContent {
  const leaves = new Set<Leaf>()
  const objects: JsonObject[] = []
  const content = { hasEmptyObject: false, hasEmptyList: false, hasFullObject: undefined }
  const visit = (elements: readonly Json[]) => {
    if (elements.length === 0) content.hasEmptyList = true
    for (let i = 0; i < elements.length; i++) {
      const element = elements[i]!
      if (typeof element !== 'object' || element === null) leaves.add(element)
      else if (Array.isArray(element)) visit(element)
      else if (!isJsonObject(element)) leaves.add(element)
      else if (Object.keys(element).length > 0) objects.push(element)
      else content.hasEmptyObject = true
    }
  }
  visit(list)
  return { ...content, leaves: [...leaves], objects }
}
