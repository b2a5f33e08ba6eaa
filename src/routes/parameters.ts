/** What a route under /v1 takes: parameters that it does not know are refused, and what has a default may be left out. */
import type { FastifyInstance } from 'fastify'

interface ObjectSchema {
  type: 'object'
  properties: Record<string, { default?: unknown }>
  required?: string[]
}

const NO_PARAMETERS: ObjectSchema = { type: 'object', properties: {} }

/**
 * For the routes that are added to `v1` from now on. A request without a body has an empty one, so that what is missing
 * in it is named.
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
