/** Patterns with `*`. Pure. */

/**
 * True when the pattern matches the whole text; a `*` stands for any characters, none included. There is one point to
 * return to, the last star, so the time is bounded by the product of the lengths.
 */
export function matchesGlob(pattern: string, text: string): boolean {
  let at = 0
  let read = 0
  let star = -1
  let resume = 0
  while (read < text.length) {
    if (pattern[at] === '*') {
      star = at++
      resume = read
    } else if (pattern[at] === text[read]) {
      at++
      read++
    } else if (star >= 0) {
      at = star + 1
      read = ++resume
    } else return false
  }
  while (pattern[at] === '*') at++
  return at === pattern.length
}
