/**
 * Accepting a message of the API: what its Idempotency-Key names is what SNS's MessageId names, so a repeat is known in the statement
 * that stores it.
 *
 * Guarantee: a request repeated with its key changes nothing and is answered as a duplicate, as long as events are kept; with another
 * body it is refused.
 */
import { createHash } from 'node:crypto'
import type { Queryable } from '../platform/database.js'
import { Refusal } from '../platform/errors.js'
import type { KeyedRequest } from '../platform/idempotency.js'
import { canonicalJson, parseStoredJson } from '../platform/json.js'
import type { SourceSettings } from '../source/settings.js'
import type { Accept, Accepted } from './accept.js'
import { readParts } from './message-parts.js'

/** @throws Refusal 'idempotency_mismatch', or as `Accept` does */
export type AcceptNamed = (message: string, request: Omit<KeyedRequest, 'body'> | undefined) => Promise<Accepted>

export interface AcceptNamedOptions {
  accept: Accept
  database: Queryable
  sources: SourceSettings
  now?: () => Date
}

export function createAcceptNamed({
  accept,
  database,
  sources,
  now = () => new Date(),
}: AcceptNamedOptions): AcceptNamed {
  return async (message, request) => {
    const at = now()
    const incoming = {
      messageId: request ? nameOf(request) : null,
      topicArn: null,
      subject: undefined,
      message,
      sentAt: at,
    }
    const taken = await accept(incoming)
    if (request && taken.result === 'duplicate') {
      const { parts, unknown } = readParts(incoming, sources, at)
      const payloads = parts.map(({ payload }) => payload)
      // an own source may have read several changes in it, of which the first has the whole
      const isFirst = unknown !== undefined
      if (!(await isSame(database, incoming.messageId!, payloads, isFirst))) {
        throw new Refusal('idempotency_mismatch', 'This Idempotency-Key was used with another body: use a new key.')
      }
    }
    return taken
  }
}

/** No MessageId of SNS has a colon. */
function nameOf({ caller, route, key }: Omit<KeyedRequest, 'body'>): string {
  return `key:${createHash('sha256')
    .update(JSON.stringify([caller, route, key]))
    .digest('hex')}`
}

/**
 * Whether the message of this name is this one. One that is a duplicate by its EventBridge id alone has no message of its name.
 * @param isFirst the payload is that of the first part
 */
async function isSame(
  db: Queryable,
  messageId: string,
  payloads: readonly string[],
  isFirst: boolean,
): Promise<boolean> {
  const { rows } = await db.query<{ payload: string }>(
    `select payload from events where message_id = $1 ${isFirst ? 'and part = 0' : ''} order by part`,
    [messageId],
  )
  if (rows.length === 0) return true
  return (
    rows.length === payloads.length && rows.every(({ payload }, i) => meaningOf(payload) === meaningOf(payloads[i]!))
  )
}

function meaningOf(payload: string): string {
  return canonicalJson(parseStoredJson(payload))
}
