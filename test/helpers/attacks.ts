/** What the tests of test/attacks share. */
import type { Test } from 'tap'

/** Prints how many attacks a test made; scripts/test.ts passes such lines on. */
export function reportCount(t: Test, count: number, what: string): void {
  t.comment(`attacks: ${count.toLocaleString('en')} ${what}`)
}
