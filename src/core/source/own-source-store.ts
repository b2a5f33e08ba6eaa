/**
 * The statements on the table `sources`.
 *
 * Guarantee: every statement that changes a source also raises `sources_version`, by which every process knows that its copy is
 * old. There are never more than `MAX_SOURCES`.
 */
import { Refusal } from '../platform/errors.js'
import { parseJson, stringifyJson, type JsonObject } from '../platform/json.js'
import { conditionsOf, idAfter, queryPage, type Page, type PageRequest } from '../platform/page.js'
import type { Queryable } from '../platform/queryable.js'
import { MAX_SOURCES, type OwnSource } from './own-source.js'

interface SourceRow {
  id: string
  name: string
  description: string
  topics: string[]
  filter: string
  mapping: string
  enabled: boolean
  created_at: Date
  updated_at: Date
}

const COLUMNS = 'id, name, description, topics, filter, mapping, enabled, created_at, updated_at'
const CHANGED = 'update registry set sources_version = sources_version + 1'

/**
 * @param tx a transaction: the row of the registry is locked until it ends, so that the sources can be counted
 * @throws Refusal 'conflict' when another source has its name, or when there are too many
 */
export async function insertSource(tx: Queryable, source: OwnSource): Promise<void> {
  await tx.query(CHANGED)
  const { rows } = await tx.query<{ count: bigint }>('select count(*) as count from sources')
  if (Number(rows[0]!.count) >= MAX_SOURCES) {
    throw new Refusal('conflict', `There are ${MAX_SOURCES} sources, the most that there may be: delete one first.`)
  }
  await tx
    .query(`insert into sources (${COLUMNS}) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, valuesOf(source))
    .catch(refuseTakenName)
}

/** @throws Refusal 'conflict' when another source has its name */
export async function updateSource(db: Queryable, source: OwnSource): Promise<void> {
  await db
    .query(
      `with changed as (${CHANGED}) update sources set name = $2, description = $3, topics = $4, filter = $5, mapping = $6,
         enabled = $7, created_at = $8, updated_at = $9 where id = $1`,
      valuesOf(source),
    )
    .catch(refuseTakenName)
}

export async function deleteSource(db: Queryable, id: string): Promise<void> {
  await db.query(`with changed as (${CHANGED}) delete from sources where id = $1`, [id])
}

export async function findSource(db: Queryable, id: string): Promise<OwnSource | undefined> {
  const { rows } = await db.query<SourceRow>(`select ${COLUMNS} from sources where id = $1`, [id])
  return rows[0] && sourceOf(rows[0])
}

/** A source, locked until the transaction ends, so that a change applies to its current fields. */
export async function lockSource(tx: Queryable, id: string): Promise<OwnSource | undefined> {
  const { rows } = await tx.query<SourceRow>(`select ${COLUMNS} from sources where id = $1 for update`, [id])
  return rows[0] && sourceOf(rows[0])
}

/** A page of sources, newest first. */
export async function listSources(
  db: Queryable,
  filter: { name?: string },
  { limit, cursor }: PageRequest,
): Promise<Page<OwnSource>> {
  const conditions = conditionsOf([
    ['id < ?', idAfter(cursor, 'src')],
    ['name = ?', filter.name],
  ])
  const select = `select ${COLUMNS} from sources`
  const cursorOf = ({ id }: SourceRow) => id
  return queryPage(db, { select, conditions, order: 'id desc', cursorOf, entryOf: sourceOf }, limit)
}

/** Those that read messages, in the order in which they are asked. */
export async function readEnabledSources(db: Queryable): Promise<OwnSource[]> {
  const { rows } = await db.query<SourceRow>(`select ${COLUMNS} from sources where enabled order by name collate "C"`)
  return rows.map(sourceOf)
}

/** Counts the changes of sources. */
export async function readSourcesVersion(db: Queryable): Promise<bigint> {
  const { rows } = await db.query<{ sources_version: bigint }>('select sources_version from registry')
  return rows[0]!.sources_version
}

/** SQLSTATE 23505 is a violated unique constraint; the name's is the only one that a request can violate. */
function refuseTakenName(error: { code?: unknown }): never {
  if (error.code !== '23505') throw error
  const detail = 'is the name of another source'
  throw new Refusal('conflict', `name ${detail}`, { errors: [{ path: '/name', detail }], cause: error })
}

/** The values of `COLUMNS`. */
function valuesOf(source: OwnSource): unknown[] {
  const { id, name, description, topics, filter, mapping, enabled } = source
  const times = [new Date(source.created_at), new Date(source.updated_at)]
  return [id, name, description, topics, stringifyJson(filter), mapping, enabled, ...times]
}

function sourceOf(row: SourceRow): OwnSource {
  return {
    ...row,
    filter: parseJson(row.filter) as JsonObject,
    created_at: row.created_at.toISOString(),
    updated_at: row.updated_at.toISOString(),
  }
}
