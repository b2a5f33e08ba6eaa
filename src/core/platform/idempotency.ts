/**
 * Idempotency keys (IETF draft "The Idempotency-Key HTTP Header Field"): a request repeated with its key has its effect
 * once and gets the first answer.
 *
 * Guarantee: the key, the effect and the answer are committed together; of two concurrent requests with one key, the
 * second waits for the first. A key belongs to one API key and one route. Two bodies are the same when their JSON has the
 * same meaning: the order of members, white space and the spelling of numbers do not count. Answers that may hold secrets are
 * sealed.
 */
import { createHash } from 'node:crypto'
import type { Queryable } from './database.js'
import { Refusal } from './errors.js'
import { canonicalJson, parseStoredJson, stringifyJson, type Json } from './json.js'
import type { Sealer } from './secrets.js'

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

/** A request that may have a key: undefined when it has none, and its work is always done. */
export interface MaybeKeyed {
  idempotency: KeyedRequest | undefined
}

/**
 * Does the work of requests that share a transaction, but for those whose key was used before.
 * @param tx the transaction that the work writes in
 * @param requests of which no two have the same key
 * @param work gets the requests that are to be done, at least one, and returns their answers, which are JSON, in this order
 * @param sealer seals the answers; without it they are stored as they are
 * @returns the answer to each request; a Refusal 'idempotency_mismatch' where its key was used with other content
 */
export async function onceEach<Request extends MaybeKeyed, Answer>(
  tx: Queryable,
  requests: readonly Request[],
  now: Date,
  work: (fresh: Request[]) => Promise<Answer[]>,
  sealer?: Sealer,
): Promise<(Answer | Refusal)[]> {
  const keyed = requests.flatMap(({ idempotency }) => idempotency ?? [])
  const claims = await claimKeys<Answer>(tx, keyed, now, sealer)
  const claimOf = ({ idempotency }: Request) => idempotency && claims.get(idempotency)
  const fresh = requests.filter((request) => claimOf(request)?.first === undefined)
  const made = fresh.length > 0 ? await work(fresh) : []
  const madeFor = new Map(fresh.map((request, i) => [request, made[i]!]))
  const answers = requests.map((request) => claimOf(request)?.first ?? madeFor.get(request)!)
  await saveAnswers(
    tx,
    requests.flatMap((request, i) => {
      const claim = claimOf(request)
      return claim?.isNew ? [{ key: claim.key, answer: answers[i]! }] : []
    }),
    sealer,
  )
  return answers
}

/** The same for one request. @throws Refusal 'idempotency_mismatch' */
export async function once<Answer>(
  tx: Queryable,
  idempotency: KeyedRequest | undefined,
  now: Date,
  work: () => Promise<Answer>,
  sealer?: Sealer,
): Promise<Answer> {
  const [answer] = await onceEach(tx, [{ idempotency }], now, async () => [await work()], sealer)
  if (answer instanceof Refusal) throw answer
  return answer!
}

/** What is known of a request with a key. */
interface Claim<Answer> {
  /** As it is stored. */
  key: string
  /** The key was not stored before. */
  isNew: boolean
  /** The first answer, or the refusal of a key that was used with other content; undefined: the work is to be done. */
  first: Answer | Refusal | undefined
}

/** Stores the keys that are new. Lock order: keys come before what the work locks, in their own order. */
async function claimKeys<Answer>(
  tx: Queryable,
  requests: readonly KeyedRequest[],
  now: Date,
  sealer: Sealer | undefined,
): Promise<Map<KeyedRequest, Claim<Answer>>> {
  if (requests.length === 0) return new Map()
  const given = requests
    .map((request) => ({ request, key: storedKey(request), digest: sha256(canonicalJson(request.body)) }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
  const { rows } = await tx.query<{ key: string }>(
    `insert into idempotency_keys (key, request_digest, created_at)
     select key, digest, $3
     from unnest($1::text[], $2::bytea[]) with ordinality as g (key, digest, position) order by position
     on conflict (key) do nothing returning key`,
    [given.map(({ key }) => key), given.map(({ digest }) => digest), now],
  )
  const added = new Set(rows.map(({ key }) => key))
  const stored = await findAnswers<Answer>(
    tx,
    given.map(({ request, key }) => (added.has(key) ? request.key : key)),
    sealer,
  )
  return new Map(
    given.map(({ request, key, digest }): [KeyedRequest, Claim<Answer>] => {
      const isNew = added.has(key)
      const earlier = stored.get(isNew ? request.key : key)
      if (earlier?.digest.equals(isNew ? earlierDigest(request.body) : digest)) {
        return [request, { key, isNew, first: earlier.answer }]
      }
      return [request, { key, isNew, first: isNew ? undefined : mismatch() }]
    }),
  )
}

/** The key as it is stored, one for each caller and route. The text is never equal to a key as earlier versions stored it. */
export function storedKey({ caller, route, key }: KeyedRequest): string {
  return JSON.stringify([caller, route, key])
}

function mismatch(): Refusal {
  return new Refusal('idempotency_mismatch', 'This Idempotency-Key was used with another body: use a new key.')
}

async function findAnswers<Answer>(
  tx: Queryable,
  keys: readonly string[],
  sealer: Sealer | undefined,
): Promise<Map<string, { digest: Buffer; answer: Answer }>> {
  const { rows } = await tx.query<{
    key: string
    request_digest: Buffer
    answer: string
    sealed_answer: Buffer | null
  }>('select key, request_digest, answer, sealed_answer from idempotency_keys where key = any($1::text[])', [keys])
  return new Map(
    rows.map(({ key, request_digest: digest, answer, sealed_answer: sealed }) => {
      const text = sealed && sealer ? sealer.open(sealed, contextOf(key)) : answer
      return [key, { digest, answer: parseStoredJson(text) as Answer }]
    }),
  )
}

async function saveAnswers(
  tx: Queryable,
  answers: readonly { key: string; answer: unknown }[],
  sealer: Sealer | undefined,
): Promise<void> {
  if (answers.length === 0) return
  const texts = answers.map(({ answer }) => stringifyJson(answer as Json))
  await tx.query(
    `update idempotency_keys k set answer = a.answer, sealed_answer = a.sealed
     from unnest($1::text[], $2::text[], $3::bytea[]) as a (key, answer, sealed) where k.key = a.key`,
    [
      answers.map(({ key }) => key),
      texts.map((text) => (sealer ? null : text)),
      texts.map((text, i) => sealer?.seal(text, contextOf(answers[i]!.key)) ?? null),
    ],
  )
}

/** What a sealed answer belongs to. @param key as it is stored */
export function contextOf(key: string): string {
  return `${key}:answer`
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
