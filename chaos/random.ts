/** Reproducible random numbers: the same seed and name give the same sequence on every machine. */
import { createHash } from 'node:crypto'

/** Numbers in [0, 1). */
export type Random = () => number

export function createRandom(seed: number, name: string): Random {
  let count = 0
  return () => createHash('sha256').update(`${seed} ${name} ${count++}`).digest().readUInt32BE() / 2 ** 32
}

export function between(random: Random, low: number, high: number): number {
  return low + (high - low) * random()
}

/** One of the values, of which there must be at least one. */
export function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]!
}
