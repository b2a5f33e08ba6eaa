/**
 * Validation of requests against the schemas of their routes.
 *
 * Promise: a refusal names every field at fault at once, as far as that costs little; what is valid is checked once.
 */
import { Ajv, type Options as AjvOptions, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'
import type { FastifyError, FastifyRequest, FastifySchemaCompiler } from 'fastify'
import { Refusal, type FieldError } from '../core/platform/errors.js'
import { memberPath } from '../core/platform/json-pointer.js'

/** Errors that one answer names. */
const MAX_ERRORS = 20
/** Ajv cannot stop after some errors: of a request with more values than this it looks for the first alone. */
const MAX_VALUES = 2000
/** Characters of an unknown field's name in an answer. */
const MAX_NAME_LENGTH = 128

const options: AjvOptions = { useDefaults: true, removeAdditional: false, strict: 'log' }
/** Bodies say what they mean: nothing is converted. */
const bodies = checkers({ ...options, coerceTypes: false })
/** Parameters are text on the wire: numbers and lists are read out of it. */
const parameters = checkers({ ...options, coerceTypes: 'array' })

function checkers(of: AjvOptions) {
  const create = (allErrors: boolean) => formats.default(new Ajv({ ...of, allErrors }))
  return { first: create(false), all: create(true) }
}

export const compileValidator: FastifySchemaCompiler<object> = ({ schema, httpPart }) => {
  const { first, all } = httpPart === 'body' ? bodies : parameters
  const findFirst = first.compile(schema)
  let findAll: ValidateFunction | undefined
  const validate: Validator = (data) => {
    if (findFirst(data)) return true
    validate.errors = findFirst.errors
    if (countValues(data, MAX_VALUES) < MAX_VALUES) {
      findAll ??= all.compile(schema)
      if (!findAll(data)) validate.errors = findAll.errors
    }
    return false
  }
  return validate
}

type Validator = ((data: unknown) => boolean) & Pick<ValidateFunction, 'errors'>

/** How many values a document has at all levels, counted up to `enough`. */
function countValues(value: unknown, enough: number): number {
  let count = 1
  if (typeof value !== 'object' || value === null) return count
  for (const member of Object.values(value)) {
    count += countValues(member, enough - count)
    if (count >= enough) break
  }
  return count
}

/** The parts of a request in the order in which Fastify checks them; it stops at the first that fails. */
const PARTS = { params: 'params', body: 'body', querystring: 'query', headers: 'headers' } as const
type Part = keyof typeof PARTS

/** What failed validation, field by field, in every part of the request. */
export function validationRefusal(error: FastifyError, request: FastifyRequest): Refusal {
  const parts = Object.keys(PARTS) as Part[]
  const failed = parts.find((part) => part === error.validationContext) ?? 'body'
  const found = [
    ...errorsOf(failed, error.validation ?? [], request),
    ...parts.slice(parts.indexOf(failed) + 1).flatMap((part) => {
      const validate = request.getValidationFunction(part)
      return !validate || validate(request[PARTS[part]]) ? [] : errorsOf(part, validate.errors ?? [], request)
    }),
  ]
  const named = found.slice(0, MAX_ERRORS)
  const more = found.length > MAX_ERRORS ? `; and ${found.length - MAX_ERRORS} more` : ''
  const detail = named.map(({ part, path, detail }) => `${part}${path} ${detail}`).join('; ')
  const errors = named.map(({ path, detail }) => ({ path, detail }))
  return new Refusal('invalid_request', detail + more, { errors })
}

/** Each error once: a parameter that is repeated fails several keywords of its schema. */
function errorsOf(part: Part, failures: Failure[], request: FastifyRequest): (FieldError & { part: Part })[] {
  const errors = failures.map((failure) =>
    part === 'querystring' ? parameterError(failure, request) : fieldError(failure),
  )
  const distinct = new Map(errors.map((error) => [`${error.path} ${error.detail}`, { ...error, part }]))
  return [...distinct.values()]
}

type Failure = NonNullable<FastifyError['validation']>[number]

function fieldError({ instancePath, message, keyword, params }: Failure): FieldError {
  if (keyword === 'additionalProperties') {
    const name = String(params.additionalProperty).slice(0, MAX_NAME_LENGTH)
    return { path: memberPath(instancePath, name), detail: 'is not a known field' }
  }
  if (keyword === 'required') {
    return { path: memberPath(instancePath, String(params.missingProperty)), detail: 'is required' }
  }
  const allowed = Array.isArray(params.allowedValues) ? `: ${params.allowedValues.join(', ')}` : ''
  return { path: instancePath, detail: `${message ?? 'is wrong'}${allowed}` }
}

function parameterError(failure: Failure, { query, routeOptions }: FastifyRequest): FieldError {
  const error = fieldError(failure)
  if (failure.keyword === 'additionalProperties') {
    const { properties = {} } = (routeOptions.schema?.querystring ?? {}) as { properties?: object }
    const known = Object.keys(properties).join(', ') || 'none'
    return { ...error, detail: `is not a known parameter; those of this path: ${known}` }
  }
  const isRepeated = Array.isArray((query as Record<string, unknown>)[error.path.slice(1)])
  return isRepeated ? { ...error, detail: 'is there more than once: send it once' } : error
}
