/** A measurement: its input, and its line in the table. */
import type { Backend } from './backend.js'
import type { Program, Teardowns } from './program.js'
import type { Load } from './programs/load.js'

/** One line of the table that the benchmark prints. */
export interface Measurement {
  name: string
  value: number
  /** The value of the bare loop in the same run; null when there is none. */
  bare: number | null
  ratio: number | null
  unit: string
  /** The conditions of the measurement. */
  note?: string
}

export interface Bench extends Teardowns {
  /** True for less than 20 s a measurement. */
  quick: boolean
  backend: Backend
  /** The simulated SNS: one process for the whole run, so that messages are signed once. */
  load: Program<Load>
}

export type Measure = (bench: Bench) => Promise<Measurement[]>

/** A line whose ratio is value divided by bare. */
export function over(name: string, value: number, bare: number, unit: string, note?: string): Measurement {
  return { name, value, bare, ratio: value / bare, unit, note }
}

/** A line without a bare loop. */
export function alone(name: string, value: number, unit: string, note?: string): Measurement {
  return { name, value, bare: null, ratio: null, unit, note }
}
