/** The audit log in the database: entries are written in the transaction of what they tell of, and never changed. */
import type { Queryable } from '../platform/database.js'
import { newId } from '../platform/id.js'
import { parseJson, stringifyJson } from '../platform/json.js'
import { conditionsOf, queryPage, type Page, type PageRequest } from '../platform/page.js'
import type { AuditAction, AuditEntry, Changes } from './audit.js'

interface AuditRow {
  id: string
  at: Date
  actor: string
  action: AuditAction
  target: string | null
  changes: string
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

/** Writes an entry. @param tx the transaction of the change: both are there, or neither */
export async function insertAuditEntry(
  tx: Queryable,
  { actor, action, target, changes }: { actor: string; action: AuditAction; target: string | null; changes: Changes },
  now: Date,
): Promise<void> {
  await tx.query('insert into audit (id, at, actor, action, target, changes) values ($1, $2, $3, $4, $5, $6)', [
    newId('aud'),
    now,
    actor,
    action,
    target,
    stringifyJson(changes as Parameters<typeof stringifyJson>[0]),
  ])
}

/** A page of entries, newest first; every condition that is given holds. */
export async function listAuditEntries(
  db: Queryable,
  { actor, action, target, since, until }: AuditFilter,
  { limit, cursor }: PageRequest,
): Promise<Page<AuditEntry>> {
  const conditions = conditionsOf([
    ['id < ?', cursor],
    ['actor = ?', actor],
    ['action = ?', action],
    ['target = ?', target],
    ['at >= ?', since],
    ['at < ?', until],
  ])
  return queryPage(
    db,
    {
      select: 'select id, at, actor, action, target, changes from audit',
      conditions,
      order: 'id desc',
      cursorOf: ({ id }: AuditRow) => id,
      entryOf: (row) => ({ ...row, at: row.at.toISOString(), changes: parseJson(row.changes) as Changes }),
    },
    limit,
  )
}

/** Deletes up to `limit` entries of before `before`. */
export async function deleteOldAuditEntries(db: Queryable, before: Date, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    'delete from audit where id in (select id from audit where at < $1 order by at, id limit $2)',
    [before, limit],
  )
  return rowCount
}
