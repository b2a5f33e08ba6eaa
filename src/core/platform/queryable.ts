/** What runs SQL: a database, or a transaction in it. Types alone. */

export interface Queryable {
  /**
   * @param sql one statement, parameters as $1, $2, ...
   * @returns the rows, and how many were returned or changed
   */
  query<Row>(sql: string, params?: readonly unknown[]): Promise<{ rows: Row[]; rowCount: number }>
}

/** Runs work between BEGIN and COMMIT; ROLLBACK when it throws. */
export type Transaction = <T>(work: (tx: Queryable) => Promise<T>) => Promise<T>

export interface Database extends Queryable {
  readonly kind: 'embedded' | 'server'
  /** The server's URL; undefined for the embedded engine. */
  readonly url: string | undefined
  /** Uses one connection from BEGIN to COMMIT; no other query runs on it in between. */
  transaction: Transaction
  /** Whether a pooler such as PgBouncer is in between: then a session may change from one transaction to the next. */
  readonly isPooled: boolean
  /** Rejects when the database does not take a write now. */
  ping(): Promise<void>
  close(): Promise<void>
}
