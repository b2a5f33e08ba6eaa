/** Chance that can be had again: the same seed and name give the same numbers, in the same order, on every machine. */
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

/** One of these; there must be one. */
export function pick<T>(random: Random, values: readonly T[]): T {
  return values[Math.floor(random() * values.length)]!
}
