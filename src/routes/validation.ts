/**
 * Validates requests against the schemas of their routes.
 *
 * Guarantee: a refusal names all invalid fields, up to `MAX_ERRORS`, unless the request is large. A valid request is checked
 * once.
 */
import { Ajv, type Options as AjvOptions, type ValidateFunction } from 'ajv'
import formats from 'ajv-formats'
import type { FastifyError, FastifyRequest, FastifySchemaCompiler } from 'fastify'
import { Refusal, type FieldError } from '../core/platform/errors.js'
import { ID_PATTERN } from '../core/platform/id.js'
import { memberPath } from '../core/platform/json-pointer.js'

/** The most errors that one answer lists. */
const MAX_ERRORS = 20
/** Ajv finds either the first error or all of them. In a request with this many values it finds only the first. */
const MAX_VALUES = 2000
/** The most characters of an unknown field's name in an answer. */
const MAX_NAME_LENGTH = 128

const options: AjvOptions = {
  useDefaults: true,
  removeAdditional: false,
  strict: 'log',
  allowUnionTypes: true,
  verbose: true,
}
/** Values of a body have their JSON types and are not converted. */
const bodies = createAjvs({ ...options, coerceTypes: false })
/** Parameters arrive as text and are converted to numbers and lists. */
const parameters = createAjvs({ ...options, coerceTypes: 'array' })

function createAjvs(ajvOptions: AjvOptions) {
  const create = (allErrors: boolean) =>
    formats.default(new Ajv({ ...ajvOptions, allErrors }).addVocabulary(['x-pattern']))
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

/** How many values a document has at all levels, counted up to `max`. */
function countValues(value: unknown, max: number): number {
  let count = 1
  if (typeof value !== 'object' || value === null) return count
  for (const member of Object.values(value)) {
    count += countValues(member, max - count)
    if (count >= max) break
  }
  return count
}

/** The parts of a request in the order in which Fastify validates them; it stops at the first invalid part. */
const PARTS = { params: 'params', body: 'body', querystring: 'query', headers: 'headers' } as const
type Part = keyof typeof PARTS

/** The refusal of an invalid request; it lists the errors of every part of the request, not only those of the first. */
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
  const listed = found.slice(0, MAX_ERRORS)
  const more = found.length > MAX_ERRORS ? `; and ${found.length - MAX_ERRORS} more` : ''
  const detail = listed.map(({ part, path, detail }) => `${part}${path} ${detail}`).join('; ')
  const errors = listed.map(({ path, detail }) => ({ path, detail }))
  return new Refusal('invalid_request', detail + more, { errors })
}

/** The errors of a part without duplicates: a repeated parameter fails several keywords of its schema. */
function errorsOf(part: Part, failures: Failure[], request: FastifyRequest): (FieldError & { part: Part })[] {
  const errors = failures.map((failure) =>
    part === 'querystring' ? parameterError(failure, request) : fieldError(failure),
  )
  const distinct = new Map(errors.map((error) => [`${error.path} ${error.detail}`, { ...error, part }]))
  return [...distinct.values()]
}

/** With `verbose`, Ajv adds the schema that failed. */
type Failure = NonNullable<FastifyError['validation']>[number] & { parentSchema?: Record<string, unknown> }

function fieldError({ instancePath, message, keyword, params, parentSchema }: Failure): FieldError {
  if (keyword === 'pattern') return { path: instancePath, detail: `must be ${patternWords(params, parentSchema)}` }
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

function patternWords({ pattern }: Failure['params'], schema: Failure['parentSchema']): string {
  const [, prefix] = ID_PATTERN.exec(String(pattern)) ?? []
  if (prefix !== undefined) return `an id: ${prefix}_ and 32 hexadecimal digits`
  return String(schema?.['x-pattern'] ?? `of the pattern ${String(pattern)}`)
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
