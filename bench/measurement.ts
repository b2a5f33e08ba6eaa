/** What the parts of the benchmark share: a line of its table, and what a measurement is given. */
import type { Backend } from './backend.js'
import type { Program, Teardowns } from './program.js'
import type { Load } from './programs/load.js'

/** One line of the table that a benchmark prints. */
export interface Measurement {
  name: string
  value: number
  /** What the bare loop of the same run gave; null where there is nothing to compare with. */
  bare: number | null
  ratio: number | null
  unit: string
  /** What a reader must know to read the figure. */
  note?: string
}

export interface Bench extends Teardowns {
  /** Under 20 s a measurement. */
  quick: boolean
  backend: Backend
  /** The stand-in for SNS: a process of its own, one for the run, so that messages are signed once. */
  load: Program<Load>
}

export type Measure = (bench: Bench) => Promise<Measurement[]>

/** A line whose ratio is value over bare. */
export function over(name: string, value: number, bare: number, unit: string, note?: string): Measurement {
  return { name, value, bare, ratio: value / bare, unit, note }
}

/** A line that stands for itself. */
export function alone(name: string, value: number, unit: string, note?: string): Measurement {
  return { name, value, bare: null, ratio: null, unit, note }
}
