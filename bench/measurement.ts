/** One line of the table that a benchmark prints. */
export interface Measurement {
  name: string
  value: number
  /** What the bare loop of the same run gave. */
  bare: number
  ratio: number
  unit: string
}
