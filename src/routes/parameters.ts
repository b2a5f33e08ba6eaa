/** Schemas of the routes under /v1: unknown query parameters are refused, and fields with a default are optional. */
import type { FastifyInstance } from 'fastify'

interface ObjectSchema {
  type: 'object'
  properties: Record<string, { default?: unknown }>
  required?: string[]
}

const NO_PARAMETERS: ObjectSchema = { type: 'object', properties: {} }

/**
 * Applies to every route that is added to `v1` after this call. A request without a body is validated as an empty object, so
 * that the refusal names the missing fields.
 */
export function closeParameters(v1: FastifyInstance): void {
  v1.addHook('onRoute', (route) => {
    const { querystring = NO_PARAMETERS, body, ...schema } = route.schema ?? {}
    route.schema = {
      ...schema,
      querystring: { ...optionalWithDefault(querystring as ObjectSchema), additionalProperties: false },
      ...(body === undefined ? {} : { body: optionalWithDefault(body as ObjectSchema) }),
    }
  })
  v1.addHook('preValidation', async (request) => {
    if (request.body === undefined && ['POST', 'PATCH'].includes(request.method)) request.body = {}
  })
}

function optionalWithDefault(schema: ObjectSchema): ObjectSchema {
  const { required = [], properties } = schema
  return { ...schema, required: required.filter((name) => properties[name]?.default === undefined) }
}
