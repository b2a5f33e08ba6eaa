/** What takes SQL: a database, or a transaction in it. */
export interface Queryable {
  /**
   * @param sql one statement, parameters as $1, $2, ...
   * @returns the rows, and how many were returned or changed
   */
  query<Row>(sql: string, params?: readonly unknown[]): Promise<{ rows: Row[]; rowCount: number }>
}

/** Runs work between BEGIN and COMMIT; ROLLBACK when it throws. */
export type Transaction = <T>(work: (tx: Queryable) => Promise<T>) => Promise<T>
