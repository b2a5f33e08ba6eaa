/** Gives values from before an upgrade their key, in bounded batches, so that they are found. */
import type { Database, Queryable } from '../platform/database.js'
import { parseStoredJson } from '../platform/json.js'
import { valueKey } from './value-key.js'

interface OldRow {
  alert_id: string
  key: Buffer
  path: string
  value: string
}

/** @returns how many rows were looked at; 0 when all have been */
export async function keyOldValues(database: Database, limit: number): Promise<number> {
  return database.transaction(async (tx) => {
    const { rows: places } = await tx.query<{ alert_id: string; key: Buffer }>(
      'select alert_id, key from value_keying for update skip locked',
    )
    if (!places[0]) return 0
    const { alert_id: alertId, key } = places[0]
    const { rows } = await tx.query<OldRow>(
      `select alert_id, key, path, value from alert_values where (alert_id, key) > ($1, $2)
       order by alert_id, key limit $3`,
      [alertId, key, limit],
    )
    const last = rows.at(-1)
    if (last === undefined) {
      await tx.query('delete from value_keying')
      return 0
    }
    await tx.query(
      `update alert_values v set value_key = n.value_key
       from unnest($1::text[], $2::bytea[], $3::bigint[]) as n (alert_id, key, value_key)
       where v.alert_id = n.alert_id and v.key = n.key and v.value_key is null and n.value_key is not null`,
      [
        rows.map((row) => row.alert_id),
        rows.map((row) => row.key),
        rows.map((row) => valueKey({ path: JSON.parse(row.path) as string[], value: parseStoredJson(row.value) })),
      ],
    )
    await tx.query('update value_keying set alert_id = $1, key = $2', [last.alert_id, last.key])
    return rows.length
  })
}

/** Whether all values have their key. */
export async function areValuesKeyed(db: Queryable): Promise<boolean> {
  const { rowCount } = await db.query('select from value_keying')
  return rowCount === 0
}
