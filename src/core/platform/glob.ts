/** Patterns with `*`, for texts and for paths. Pure. */

/**
 * True when the pattern matches the whole text; a `*` matches any number of characters. Only the last `*` is
 * backtracked to, so the time is bounded by the product of the lengths.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let patternAt = 0
  let textAt = 0
  let star = -1
  let resume = 0
  while (textAt < text.length) {
    if (pattern[patternAt] === '*') {
      star = patternAt++
      resume = textAt
    } else if (pattern[patternAt] === text[textAt]) {
      patternAt++
      textAt++
    } else if (star >= 0) {
      patternAt = star + 1
      textAt = ++resume
    } else return false
  }
  while (pattern[patternAt] === '*') patternAt++
  return patternAt === pattern.length
}

/**
 * True when the pattern matches the whole path: key by key, each as `matchesGlob`, and a key `**` matches any number of keys, none
 * too. Only the last `**` is backtracked to.
 */
export function matchesPath(pattern: readonly string[], path: readonly string[]): boolean {
  let patternAt = 0
  let pathAt = 0
  let star = -1
  let resume = 0
  while (pathAt < path.length) {
    if (pattern[patternAt] === '**') {
      star = patternAt++
      resume = pathAt
    } else if (patternAt < pattern.length && matchesGlob(pattern[patternAt]!, path[pathAt]!)) {
      patternAt++
      pathAt++
    } else if (star >= 0) {
      patternAt = star + 1
      pathAt = ++resume
    } else return false
  }
  while (pattern[patternAt] === '**') patternAt++
  return patternAt === pattern.length
}
