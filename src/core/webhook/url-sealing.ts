/**
 * Seals the URLs of webhooks that a version before stored as they are: SQL has no key.
 *
 * Guarantee: done again after a crash, or by two processes at once, it does the rest. No transaction holds more than `STEP` rows.
 */
import type { Database } from '../platform/database.js'
import type { Sealer } from '../platform/secrets.js'
import { maskUrl } from '../platform/url-mask.js'
import { sealUrl } from './webhook-row.js'

/** Rows of one transaction. */
const STEP = 100

/** @returns how many were sealed */
export async function sealUrls(database: Database, sealer: Sealer): Promise<number> {
  for (let sealed = 0; ;) {
    const done = await sealSome(database, sealer)
    if (done === 0) return sealed
    sealed += done
  }
}

async function sealSome(database: Database, sealer: Sealer): Promise<number> {
  return database.transaction(async (tx) => {
    const { rows } = await tx.query<{ id: string; url: string }>(
      'select id, url from webhooks where sealed_url is null order by id limit $1 for update skip locked',
      [STEP],
    )
    for (const row of rows) {
      await tx.query('update webhooks set url = $2, sealed_url = $3 where id = $1', [
        row.id,
        maskUrl(row.url),
        sealUrl(sealer, row),
      ])
    }
    return rows.length
  })
}
