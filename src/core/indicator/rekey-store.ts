/**
 * Claims of earlier versions, which knew a value by its path, get the key of their normal form.
 *
 * Guarantee: what was sent before an upgrade is not sent again at another path or in another spelling, and the body of an
 * event keeps its values. Rows without a `kind` are such claims; they may also come later, from an earlier version that
 * still runs.
 */
import type { Database, Queryable } from '../platform/database.js'
import { parseStoredJson } from '../platform/json.js'
import { fieldKind, normalForm } from '../alert/normal-form.js'
import { indicatorKey } from './once.js'

/** Rows of one transaction. */
const BATCH = 1_000
/** The class of the advisory lock: "indi". The other half is the webhook's. */
const LOCK_CLASS = 0x696e6469

interface OldRow {
  key: Buffer
  path: string
  value: string
}

/** Rekeys the claims of one webhook: a second process waits, and finds nothing left. */
export async function rekeyIndicators(database: Database, webhookId: string): Promise<void> {
  while ((await database.transaction((tx) => rekeyBatch(tx, webhookId))) === BATCH);
}

/** @returns how many rows there were */
async function rekeyBatch(tx: Queryable, webhookId: string): Promise<number> {
  await tx.query('select pg_advisory_xact_lock($1, hashtext($2))', [LOCK_CLASS, webhookId])
  const { rows } = await tx.query<OldRow>(
    `select key, path, value from indicators where webhook_id = $1 and kind is null
     order by sent_at desc limit ${BATCH} for update`,
    [webhookId],
  )
  const forms = rows.map(({ path, value }) => normalForm(fieldKind(path.split('.')), parseStoredJson(value)))
  const values = [
    webhookId,
    rows.map(({ key }) => key),
    forms.map(({ kind, text }) => indicatorKey(kind, text)),
    forms.map(({ kind }) => kind),
  ]
  const renamed = 'unnest($2::bytea[], $3::bytea[], $4::text[]) with ordinality as n (old, key, kind, position)'
  // Of several rows with one normal form the first gets its key, if no row has it yet: the others stay for the bodies of their
  // events, as `path`, and their time counts.
  await tx.query(
    `with held as (
       update indicators i set sent_at = greatest(i.sent_at, o.sent_at)
       from (select n.key, max(o.sent_at) as sent_at from ${renamed}
             join indicators o on o.webhook_id = $1 and o.key = n.old group by n.key) o
       where i.webhook_id = $1 and i.key = o.key and i.kind is not null
       returning i.key
     ), first as (
       select distinct on (n.key) n.old from ${renamed} where n.key not in (select key from held) order by n.key, n.position
     )
     update indicators i set
       key = case when f.old is null then i.key else n.key end,
       kind = case when f.old is null then 'path' else n.kind end
     from ${renamed} left join first f on f.old = n.old
     where i.webhook_id = $1 and i.key = n.old and i.kind is null`,
    values,
  )
  return rows.length
}
