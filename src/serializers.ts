/** Response serializers, compiled once per schema and shared by all routes and statuses that use the schema. */
import { SerializerSelector } from '@fastify/fast-json-stringify-compiler'

type Factory = ReturnType<typeof SerializerSelector>

/** Compiling takes milliseconds each; compiling one per route and status added half a second to every start. */
export function createSerializerFactory(): Factory {
  const build = SerializerSelector()
  return (...options) => {
    const compile = build(...options)
    const compiled = new Map<string, ReturnType<typeof compile>>()
    return (route) => {
      const key = JSON.stringify(route.schema)
      const serializer = compiled.get(key) ?? compile(route)
      compiled.set(key, serializer)
      return serializer
    }
  }
}
