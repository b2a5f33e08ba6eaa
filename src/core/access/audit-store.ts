/** The audit log in the database. An entry is written in the transaction of its change and is never updated. */
import type { Queryable } from '../platform/database.js'
import { newId } from '../platform/id.js'
import { parseJson, stringifyJson, type Json } from '../platform/json.js'
import { conditionsOf, idAfter, queryPage, type Page, type PageRequest } from '../platform/page.js'
import { shownChanges, type AuditAction, type AuditEntry, type Changes } from './audit.js'

interface AuditRow {
  id: string
  at: Date
  actor: string
  action: AuditAction
  target: string | null
  request_id: string | null
  address: string | null
  changes: string
}

/** An entry to be inserted. */
export interface NewAuditEntry {
  actor: string
  action: AuditAction
  target: string | null
  /** The id of the request that made the change; undefined: the relay made it without a request. */
  requestId?: string
  /** Where it came from. */
  address?: string
  changes: Changes
}

export interface AuditFilter {
  actor?: string
  action?: AuditAction
  target?: string
  since?: Date
  until?: Date
}

/** How long an entry is kept, in milliseconds. */
export const AUDIT_KEPT_MS = 365 * 24 * 3600 * 1000

/** Inserts an entry. @param tx the transaction of the change, so that both are committed or neither is */
export async function insertAuditEntry(
  tx: Queryable,
  { actor, action, target, requestId, address, changes }: NewAuditEntry,
  now: Date,
): Promise<void> {
  await tx.query(
    `insert into audit (id, at, actor, action, target, request_id, address, changes)
     values ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [newId('aud'), now, actor, action, target, requestId ?? null, address ?? null, stringifyJson(changes as Json)],
  )
}

/** A page of the entries that match every given condition, newest first. */
export async function listAuditEntries(
  db: Queryable,
  { actor, action, target, since, until }: AuditFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<AuditEntry>> {
  const conditions = conditionsOf([
    ['id < ?', idAfter(cursor, 'aud')],
    ['actor = ?', actor],
    ['action = ?', action],
    ['target = ?', target],
    ['at >= ?', since],
    ['at < ?', until],
  ])
  return queryPage(
    db,
    {
      select: 'select id, at, actor, action, target, request_id, address, changes from audit',
      conditions,
      order: 'id desc',
      cursorOf: ({ id }: AuditRow) => id,
      entryOf: (row) => ({
        ...row,
        at: row.at.toISOString(),
        changes: shownChanges(parseJson(row.changes) as Changes),
      }),
    },
    limit,
  )
}

/** Deletes up to `limit` entries, oldest first, from before `before`. @returns how many were deleted */
export async function deleteOldAuditEntries(db: Queryable, before: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    'delete from audit where id in (select id from audit where at < $1 order by at, id limit $2)',
    [before, limit],
  )
  return rowCount
}
