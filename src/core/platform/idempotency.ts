/**
 * Idempotency keys (IETF draft "The Idempotency-Key HTTP Header Field"): a request repeated with its key has its effect
 * once and gets the first answer.
 *
 * Guarantee: the key, the effect and the answer are committed together; of two concurrent requests with one key, the
 * second waits for the first.
 */
import { createHash } from 'node:crypto'
import type { Queryable } from './database.js'
import { Refusal } from './errors.js'

/** How long a key is kept, in milliseconds. */
export const IDEMPOTENCY_KEPT_MS = 24 * 3600 * 1000

/**
 * Runs the work, or returns the stored answer if the key was used before.
 * @param tx the transaction that the work writes in
 * @param key undefined: the work always runs
 * @param request the request's content
 * @throws Refusal 'idempotency_mismatch' when the key was used with other content
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

/** Deletes up to `limit` keys created before `before`; returns how many. */
export async function deleteOldKeys(db: Queryable, before: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `delete from idempotency_keys where key in (
       select key from idempotency_keys where created_at < $1 order by created_at limit $2)`,
    [before, limit],
  )
  return rowCount
}
