/**
 * The log: JSON lines, or pretty-printed text on a terminal.
 *
 * Guarantee: the values of `SECRET_KEYS` are never written, up to `LEVELS` levels below the top of a line. Lines
 * are buffered and written in the background, at the latest when the process exits; kill -9 may lose the last lines.
 */
import { destination, pino, type Logger, type LoggerOptions } from 'pino'
import type { LogLevel } from './config.js'
import { traceFields } from './tracing.js'

/** Keys whose values are redacted, at the top level of a line and up to `LEVELS` levels below it. */
const SECRET_KEYS = new Set([
  'authorization',
  'secret',
  'secrets',
  'apiKeys',
  'encryptionKey',
  'databaseUrl',
  'redisUrls',
])
const LEVELS = 2

/** @param options.traced true: a line written in a trace has its `trace_id` */
export function createLogger(
  level: LogLevel,
  { pretty = false, traced = false }: { pretty?: boolean; traced?: boolean } = {},
): Logger {
  const options: LoggerOptions = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    // pino's own redaction took 5% of the API's CPU time under load
    formatters: { level: (label) => ({ level: label }), log: withoutSecrets },
    serializers: { err: errorSummary },
    ...(traced ? { mixin: () => traceFields() } : {}),
  }
  if (!pretty) return pino(options, destination({ sync: false }))
  const transport = { target: 'pino-pretty', options: { singleLine: true, ignore: 'level', sync: true } }
  return pino({ ...options, transport })
}

/** An error and its causes, without its own properties: drivers put queries and connection settings there. */
function errorSummary(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) }
  const { name, message, stack, cause } = error
  return { type: name, message, stack, ...(cause === undefined ? {} : { cause: errorSummary(cause) }) }
}

/** The line with its secrets redacted; the same object if it holds none. */
function withoutSecrets(line: Record<string, unknown>): Record<string, unknown> {
  return redact(line, LEVELS)
}

function redact<Fields extends object>(fields: Fields, levels: number): Fields {
  let copy = fields
  for (const [key, value] of Object.entries(fields) as [keyof Fields & string, Fields[keyof Fields]][]) {
    const redacted = SECRET_KEYS.has(key)
      ? '[Redacted]'
      : hasFields(value) && levels > 0
        ? redact(value, levels - 1)
        : value
    if (redacted === value) continue
    if (copy === fields) copy = (Array.isArray(fields) ? [...fields] : { ...fields }) as Fields
    copy[key] = redacted as Fields[keyof Fields & string]
  }
  return copy
}

/** Errors are excluded: `errorSummary` serializes them. */
function hasFields(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Error)
}
