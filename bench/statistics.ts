/** Statistics of samples. Pure. */

/** The smallest sample that is not below this share (0 to 1) of all samples. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN
}

export function mean(samples: readonly number[]): number {
  return samples.reduce((sum, sample) => sum + sample, 0) / samples.length
}

/** The maximum number of times (ascending, in ms) within any interval of one second. */
export function maxInOneSecond(times: readonly number[]): number {
  let max = 0
  let first = 0
  times.forEach((time, index) => {
    while (times[first]! <= time - 1000) first++
    max = Math.max(max, index - first + 1)
  })
  return max
}
