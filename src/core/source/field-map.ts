/**
 * Tables from a producer's fields to ECS names. Pure.
 *
 * Guarantee: a walk visits a part of the message at most once for every field that leads through it.
 */
import { isJsonObject, type Json } from '../platform/json.js'
import type { ContextBuilder } from './context-builder.js'

export interface FieldMap {
  next: [key: string, fields: FieldMap][]
  names: readonly string[]
  /** Of a hash whose algorithm its length tells: the name before `.hash`. */
  hashOf: string | undefined
}

/**
 * Compiles a table. Its keys are dotted paths in the producer's JSON, in which every list stands for each of its
 * elements; its values are ECS names. `file.hash.*` stands for the hash that fits the value's length.
 */
export function fieldMap(fields: Readonly<Record<string, string | readonly string[]>>): FieldMap {
  const root: FieldMap = { next: [], names: [], hashOf: undefined }
  for (const [path, names] of Object.entries(fields)) {
    const step = path.split('.').reduce(stepAt, root)
    if (typeof names === 'string' && names.endsWith('.hash.*')) step.hashOf = names.slice(0, -'.hash.*'.length)
    else step.names = typeof names === 'string' ? [names] : names
  }
  return root
}

function stepAt(step: FieldMap, key: string): FieldMap {
  const known = step.next.find(([name]) => name === key)
  if (known) return known[1]
  const next: FieldMap = { next: [], names: [], hashOf: undefined }
  step.next.push([key, next])
  return next
}

/** Adds every value that the table names. */
export function addFields(context: ContextBuilder, fields: FieldMap, value: Json | undefined): void {
  if (Array.isArray(value)) for (const entry of value) addFrom(context, fields, entry)
  else if (value !== undefined) addFrom(context, fields, value)
}

function addFrom(context: ContextBuilder, step: FieldMap, value: Json): void {
  if (isJsonObject(value)) {
    for (const [key, next] of step.next) {
      const child = value[key]
      if (child !== undefined && child !== null) addFields(context, next, child)
    }
    return
  }
  for (const name of step.names) context.add(name, Array.isArray(value) ? undefined : value)
  if (step.hashOf !== undefined) context.addHash(step.hashOf, value)
}
