/** The ping of a database: a write that is committed, since a standby, a full disk and a stuck commit answer a select. */
import type { Queryable } from './queryable.js'

/** Writes one row, which is nobody else's. */
export async function writePing(db: Queryable): Promise<void> {
  await db.query(
    `insert into settings (name, value) values ('ping', '') on conflict (name) do update set value = excluded.value`,
  )
}
