/** Serializers of answers, made from the schemas of the routes: one a schema, however many routes and statuses have it. */
import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'

type Factory = ReturnType<typeof SerializerSelector>

/** Making one takes milliseconds, and there are hundreds of them, most for problems: at each start that was half a second. */
export function createSerializerFactory(): Factory {
  const build = SerializerSelector()
  return (...options) => {
    const compile = build(...options)
    const made = new Map<string, ReturnType<typeof compile>>()
    return (route) => {
      const key = JSON.stringify(route.schema)
      const serializer = made.get(key) ?? compile(route)
      made.set(key, serializer)
      return serializer
    }
  }
}
