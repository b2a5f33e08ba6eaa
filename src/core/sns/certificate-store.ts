/** The table `certificates`: those of SNS that were used, so that a restart needs none of their hosts. */
import type { Queryable } from '../platform/database.js'

export interface StoredCertificate {
  url: string
  pem: string
  validTo: Date
}

/** AWS has about forty regions, with one or two certificates each. */
const MAX_STORED = 200

export async function listCertificates(db: Queryable, now: Date): Promise<StoredCertificate[]> {
  const { rows } = await db.query<{ url: string; pem: string; valid_to: Date }>(
    'select url, pem, valid_to from certificates where valid_to > $1',
    [now],
  )
  return rows.map(({ url, pem, valid_to: validTo }) => ({ url, pem, validTo }))
}

/** Stores a certificate, and deletes those that have ended and the first to end of too many. */
export async function keepCertificate(
  db: Queryable,
  { url, pem, validTo }: StoredCertificate,
  now: Date,
): Promise<void> {
  await db.query(
    `insert into certificates (url, pem, valid_to) values ($1, $2, $3)
     on conflict (url) do update set pem = excluded.pem, valid_to = excluded.valid_to`,
    [url, pem, validTo],
  )
  await db.query(
    `delete from certificates where valid_to <= $1
       or url in (select url from certificates order by valid_to desc offset ${MAX_STORED})`,
    [now],
  )
}
