/** What an error of PostgreSQL means for who asked: one table of its SQLSTATEs (PostgreSQL manual, appendix A). */
import { Refusal } from './errors.js'

/**
 * "Not now": nothing is wrong with the request, which may be repeated; the connection it happened on is given up, since the
 * next one may lead to another server, or to the same one when it can serve again.
 */
const NOT_NOW: readonly RegExp[] = [
  /^08/, // connection exceptions; a pooler's own errors are 08P01
  /^25006$/, // read_only_sql_transaction: a standby, or a primary that was demoted
  /^25P0[34]$/, // idle_in_transaction_session_timeout, transaction_timeout
  /^40001$/, // serialization_failure: at our isolation only a standby's conflict with recovery
  /^53/, // insufficient resources: disk full, out of memory, too many connections
  /^55P03$/, // lock_not_available: lock_timeout
  /^57014$/, // query_canceled: statement_timeout, or an operator
  /^57P0[1-5]$/, // shutdown, crash, starting up, database dropped, idle_session_timeout
  /^58/, // system errors: input and output
]

/** A server that takes no writes: its other connections lead to the same server. */
const READ_ONLY = '25006'

/** Whether a server refused to write. */
export function isReadOnlyError(error: unknown): boolean {
  return sqlstateOf(error) === READ_ONLY
}

/** Throws the error as it is, or a Refusal 'undecided' when its SQLSTATE means "not now". */
export function throwUnlessNotNow(error: unknown): never {
  const code = sqlstateOf(error)
  if (code !== undefined && NOT_NOW.some((codes) => codes.test(code))) throwNotNow(error)
  throw error
}

/** The same, for a server: an error that it did not send is one of the connection, and means "not now" too. */
export function throwUnlessUnavailable(error: unknown): never {
  if (sqlstateOf(error) === undefined) throwNotNow(error)
  throwUnlessNotNow(error)
}

/** For whatever keeps a connection from being made: it is never the request's fault. */
export function throwNotNow(cause: unknown): never {
  throw new Refusal('undecided', 'The database does not answer; try again.', { cause })
}

/** Only errors that a server sent have a severity; the codes of sockets may look like SQLSTATEs: EPIPE. */
function sqlstateOf(error: unknown): string | undefined {
  const { code, severity } = error as { code?: unknown; severity?: unknown }
  return typeof code === 'string' && severity !== undefined ? code : undefined
}
