/** Pure figures of samples. */

/** The smallest sample that at least this share (0 to 1) of all is not above. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b)
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN
}

export function mean(samples: readonly number[]): number {
  return samples.reduce((sum, sample) => sum + sample, 0) / samples.length
}

/** The most times (in order, in ms) that fall into one second, wherever it begins. */
export function mostInOneSecond(times: readonly number[]): number {
  let most = 0
  let first = 0
  times.forEach((time, index) => {
    while (times[first]! <= time - 1000) first++
    most = Math.max(most, index - first + 1)
  })
  return most
}
