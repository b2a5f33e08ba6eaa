/** The log: JSON lines, pretty on a terminal; what could hold a secret is never written. */
import { pino, type Logger } from 'pino'
import type { LogLevel } from './config.js'

/** Keys whose values are secrets wherever they stand, at the top or one level down. */
const SECRET_KEYS = ['authorization', 'secret', 'secrets', 'apiKeys', 'encryptionKey', 'databaseUrl', 'redisUrls']

export function createLogger(level: LogLevel, { pretty = false }: { pretty?: boolean } = {}): Logger {
  return pino({
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    redact: SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.headers.${key}`]),
    serializers: { err: errorSummary },
    ...(pretty
      ? { transport: { target: 'pino-pretty', options: { singleLine: true, ignore: 'level', sync: true } } }
      : {}),
  })
}

/** An error and its causes; no own properties, since drivers hang queries and connection settings on theirs. */
function errorSummary(error: unknown): unknown {
  if (!(error instanceof Error)) return { message: String(error) }
  const { name, message, stack, cause } = error
  return { type: name, message, stack, ...(cause === undefined ? {} : { cause: errorSummary(cause) }) }
}
