/**
 * Compares texts without case. Pure.
 *
 * Guarantee: a character is one character (ß is ẞ and not ss), so that a text keeps its length and a part of it can be
 * compared alone.
 */

/** True for the text in any case, by Unicode's simple case folding: `i` beside `u` in ECMA-262, "Canonicalize". */
export function caselessTest(text: string): (value: string) => boolean {
  const pattern = new RegExp(`^${text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')}$`, 'iu')
  return (value) => value.length === text.length && pattern.test(value)
}
