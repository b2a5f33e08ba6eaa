/**
 * Idempotency keys (IETF draft "The Idempotency-Key HTTP Header Field"): a request repeated with its key has its effect
 * once and gets the first answer.
 *
 * Guarantee: the key, the effect and the answer are committed together; of two concurrent requests with one key, the
 * second waits for the first. A key belongs to one API key and one route. Two bodies are the same when their JSON has the
 * same meaning: the order of members, white space and the spelling of numbers do not count.
 */
import { createHash } from 'node:crypto'
import type { Queryable } from './database.js'
import { Refusal } from './errors.js'
import { canonicalJson, stringifyJson, type Json } from './json.js'

/** How long a key is kept, in milliseconds. */
export const IDEMPOTENCY_KEPT_MS = 24 * 3600 * 1000

/** A request that has a key. */
export interface KeyedRequest {
  /** The Idempotency-Key: printable ASCII without spaces. */
  key: string
  /** Identifies the API key of the request, without revealing it. */
  caller: string
  /** The method and the path as registered, such as `POST /v1/rule-matches`. */
  route: string
  body: Json
}

/**
 * Runs the work, or returns the stored answer if the key was used before.
 * @param tx the transaction that the work writes in
 * @param request undefined: the request has no key, and the work always runs
 * @throws Refusal 'idempotency_mismatch' when the key was used with other content
 */
export async function once<Answer>(
  tx: Queryable,
  request: KeyedRequest | undefined,
  now: Date,
  work: () => Promise<Answer>,
): Promise<Answer> {
  if (request === undefined) return work()
  // The text has a space, so it is never equal to a key as earlier versions stored it.
  const key = JSON.stringify([request.caller, request.route, request.key])
  const digest = sha256(canonicalJson(request.body))
  const inserted = await tx.query(
    `insert into idempotency_keys (key, request_digest, created_at) values ($1, $2, $3) on conflict (key) do nothing`,
    [key, digest, now],
  )
  const first = await findFirst<Answer>(tx, inserted.rowCount === 0 ? key : request.key)
  if (inserted.rowCount === 0) {
    if (first?.digest.equals(digest)) return first.answer
    throw new Refusal('idempotency_mismatch', 'This Idempotency-Key was used with another body: use a new key.')
  }
  const answer = first?.digest.equals(earlierDigest(request.body)) ? first.answer : await work()
  await tx.query('update idempotency_keys set answer = $2 where key = $1', [key, JSON.stringify(answer)])
  return answer
}

async function findFirst<Answer>(tx: Queryable, key: string): Promise<{ digest: Buffer; answer: Answer } | undefined> {
  const { rows } = await tx.query<{ request_digest: Buffer; answer: string }>(
    'select request_digest, answer from idempotency_keys where key = $1',
    [key],
  )
  const [row] = rows
  return row && { digest: row.request_digest, answer: JSON.parse(row.answer) as Answer }
}

/**
 * The digest that earlier versions stored, under the Idempotency-Key alone: it counts for the day that a key is kept, since
 * a request is repeated most likely when the process that took it was replaced.
 */
function earlierDigest(body: Json): Buffer {
  return sha256(stringifyJson(body))
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

/** Deletes up to `limit` keys created before `before`; returns how many. */
export async function deleteOldKeys(db: Queryable, before: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from idempotency_keys where key in (
       select key from idempotency_keys where created_at < $1 order by created_at limit $2)`,
    [before, limit],
  )
  return rowCount
}
