/**
 * Compares texts without case. Pure.
 *
 * Guarantee: a character is one character (ß is ẞ and not ss), so that a text keeps its length and a part of it can be
 * compared alone.
 */

/** Only ASCII: its folding is that of lower case. */
const ASCII = /^[\0-\x7f]*$/

/** Characters with a case, folded. At first those whose capitals are more than one character (CaseFolding.txt, status S). */
const folded = new Map([
  ['\u1fd3', '\u0390'],
  ['\u1fe3', '\u03b0'],
  ['\ufb05', '\ufb06'],
])

/** The text in one case: two texts are equal but for case, by Unicode's simple case folding, when these are equal. */
export function foldCase(text: string): string {
  if (ASCII.test(text)) return text.toLowerCase()
  let result = ''
  for (const character of text) result += folded.get(character) ?? foldCharacter(character)
  return result
}

function foldCharacter(character: string): string {
  if (character.toUpperCase() === character && character.toLowerCase() === character) return character
  const capital = sameOrItself(character.toUpperCase(), character)
  const small = sameOrItself(capital.toLowerCase(), capital)
  folded.set(character, small)
  return small
}

/** The other spelling where it is the same character by simple case folding: `i` beside `u` in ECMA-262, "Canonicalize". */
function sameOrItself(other: string, character: string): string {
  if (other.length !== character.length) return character
  return new RegExp(`^${other.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')}$`, 'iu').test(character) ? other : character
}
