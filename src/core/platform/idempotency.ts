/**
 * Idempotency keys (IETF draft "The Idempotency-Key HTTP Header Field"): a request that is repeated with its key gets the
 * first answer, and has its effect once.
 *
 * Promise: the key, the effect and the answer are committed together; of two requests at once one waits for the other.
 */
import { createHash } from 'node:crypto'
import type { Queryable } from './database.js'
import { Refusal } from './errors.js'

/** How long a key is remembered, in milliseconds. */
export const IDEMPOTENCY_KEPT_MS = 24 * 3600 * 1000

/**
 * Does the work, unless the key was used before.
 * @param key undefined: the work is done
 * @param request the request's content: another one with the same key is refused
 * @throws Refusal 'idempotency_mismatch'
 */
export async function once<Answer>(
  tx: Queryable,
  key: string | undefined,
  request: string,
  now: Date,
  work: () => Promise<Answer>,
): Promise<Answer> {
  if (key === undefined) return work()
  const digest = createHash('sha256').update(request).digest()
  const inserted = await tx.query(
    `insert into idempotency_keys (key, request_digest, created_at) values ($1, $2, $3) on conflict (key) do nothing`,
    [key, digest, now],
  )
  if (inserted.rowCount === 0) return firstAnswer<Answer>(tx, key, digest)
  const answer = await work()
  await tx.query('update idempotency_keys set answer = $2 where key = $1', [key, JSON.stringify(answer)])
  return answer
}

async function firstAnswer<Answer>(tx: Queryable, key: string, digest: Buffer): Promise<Answer> {
  const { rows } = await tx.query<{ request_digest: Buffer; answer: string }>(
    'select request_digest, answer from idempotency_keys where key = $1',
    [key],
  )
  const [first] = rows
  if (first?.request_digest.equals(digest)) return JSON.parse(first.answer) as Answer
  throw new Refusal('idempotency_mismatch', 'This Idempotency-Key was used with another body: use a new key.')
}

/** Forgets up to `limit` keys of before `before`. */
export async function deleteOldKeys(db: Queryable, before: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from idempotency_keys where key in (
       select key from idempotency_keys where created_at < $1 order by created_at limit $2)`,
    [before, limit],
  )
  return rowCount
}
