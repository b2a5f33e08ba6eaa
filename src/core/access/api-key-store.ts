/**
 * API keys in the database, as digests alone. Expired and revoked keys are kept, because the audit log refers to their
 * ids.
 */
import type { Queryable } from '../platform/database.js'
import { conditionsOf, idAfter, queryPage, type Page, type PageRequest } from '../platform/page.js'
import type { ApiKey, Bounds, Scope } from './api-key.js'

interface ApiKeyRow {
  id: string
  name: string
  scope: Scope
  webhooks: string[] | null
  topics: string[] | null
  created_at: Date
  expires_at: Date | null
  last_used_at: Date | null
  revoked_at: Date | null
}

/** The fields that a request is checked against. */
export interface StoredKey {
  id: string
  scope: Scope
  bounds: Bounds
  digest: Buffer
  expiresAt: Date | null
  lastUsedAt: Date | null
  revokedAt: Date | null
}

const COLUMNS = 'id, name, scope, webhooks, topics, created_at, expires_at, last_used_at, revoked_at'

export async function insertApiKey(
  db: Queryable,
  key: { id: string; name: string; scope: Scope; bounds: Bounds; digest: Buffer; expiresAt: Date | null },
  now: Date,
): Promise<ApiKey> {
  const { rows } = await db.query<ApiKeyRow>(
    `insert into api_keys (id, name, scope, digest, expires_at, created_at, webhooks, topics)
     values ($1, $2, $3, $4, $5, $6, $7, $8)
     returning ${COLUMNS}`,
    [key.id, key.name, key.scope, key.digest, key.expiresAt, now, key.bounds.webhooks, key.bounds.topics],
  )
  return apiKeyOf(rows[0]!)
}

export async function findStoredKey(db: Queryable, id: string): Promise<StoredKey | undefined> {
  const { rows } = await db.query<ApiKeyRow & { digest: Buffer }>(
    `select ${COLUMNS}, digest from api_keys where id = $1`,
    [id],
  )
  const [row] = rows
  if (!row) return undefined
  const {
    scope,
    webhooks,
    topics,
    digest,
    expires_at: expiresAt,
    last_used_at: lastUsedAt,
    revoked_at: revokedAt,
  } = row
  return { id, scope, bounds: { webhooks, topics }, digest, expiresAt, lastUsedAt, revokedAt }
}

/** A page of keys, expired and revoked ones too, newest first. */
export async function listApiKeys(db: Queryable, { limit, cursor }: PageRequest): Promise<Page<ApiKey>> {
  return queryPage(
    db,
    {
      select: `select ${COLUMNS} from api_keys`,
      conditions: conditionsOf([['id < ?', idAfter(cursor, 'key')]]),
      order: 'id desc',
      cursorOf: ({ id }: ApiKeyRow) => id,
      entryOf: apiKeyOf,
    },
    limit,
  )
}

/** Revokes a key. @returns whether it was revoked now or before; undefined when there is no such key */
export async function revokeApiKey(tx: Queryable, id: string, now: Date): Promise<'now' | 'before' | undefined> {
  const { rowCount } = await tx.query('update api_keys set revoked_at = $2 where id = $1 and revoked_at is null', [
    id,
    now,
  ])
  if (rowCount === 1) return 'now'
  return (await findStoredKey(tx, id)) && 'before'
}

/** Sets `last_used_at` to `now`, unless it is `before` or later. */
export async function recordKeyUse(db: Queryable, id: string, { before, now }: Record<'before' | 'now', Date>) {
  await db.query(
    `update api_keys set last_used_at = $3 where id = $1 and (last_used_at is null or last_used_at < $2)`,
    [id, before, now],
  )
}

function apiKeyOf(row: ApiKeyRow): ApiKey {
  return {
    id: row.id,
    name: row.name,
    scope: row.scope,
    webhooks: row.webhooks,
    topics: row.topics,
    created_at: row.created_at.toISOString(),
    expires_at: row.expires_at?.toISOString() ?? null,
    last_used_at: row.last_used_at?.toISOString() ?? null,
    revoked_at: row.revoked_at?.toISOString() ?? null,
  }
}
