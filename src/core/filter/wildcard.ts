/**
 * Wildcards: `*` matches any characters, or none; `\*` and `\\` are the characters themselves. As in AWS's event-ruler two
 * stars in a row, and a backslash before anything else, are refused. Pure.
 *
 * Guarantee: a test takes time at most proportional to the length of the text, whatever the pattern.
 */
import { FilterPolicyError } from './policy-error.js'

/** The literal texts before, between and after the stars. */
export type Literals = readonly [string, ...string[]]

/** @throws FilterPolicyError */
export function literalsOf(pattern: string, path: string): Literals {
  const literals: [string, ...string[]] = ['']
  let literal = ''
  for (let at = 0; at < pattern.length; at++) {
    let char = pattern[at]!
    if (char === '*') {
      if (literals.length > 1 && literal === '') {
        throw new FilterPolicyError(path, 'two * in a row match no more than one')
      }
      literals[literals.length - 1] = literal
      literals.push((literal = ''))
      continue
    }
    if (char === '\\') {
      char = pattern[++at] ?? ''
      if (char !== '*' && char !== '\\') throw new FilterPolicyError(path, 'a \\ is followed by * or by another \\')
    }
    literal += char
  }
  literals[literals.length - 1] = literal
  return literals
}

/**
 * Each literal is searched once, after the previous one: there is nothing to take back, since a later place for it would
 * leave less text for the next.
 * @param literals of a pattern with a star, so two or more
 */
export function wildcardTest([first, ...others]: Literals): (text: string) => boolean {
  const last = others.pop()!
  const finders = others.map(finderOf)
  return (text) => {
    if (!text.startsWith(first)) return false
    let at = first.length
    for (const find of finders) if ((at = find(text, at)) < 0) return false
    return text.length - last.length >= at && text.endsWith(last)
  }
}

/** What a test takes, in comparisons with a short literal. */
export function wildcardCost(literals: Literals): number {
  return literals.some(({ length }) => length > MAX_NATIVE_LENGTH) ? 3 : 1
}

/** @returns the end of the literal's first place at or after `from`; -1 when there is none */
type Finder = (text: string, from: number) => number

/**
 * V8's indexOf takes time proportional to the text only for literals up to this length: its Boyer-Moore search looks at the
 * last 250 characters alone (string-search.h, kBMMaxShift), and compares the others at each place.
 */
const MAX_NATIVE_LENGTH = 250

function finderOf(literal: string): Finder {
  if (literal.length > MAX_NATIVE_LENGTH) return knuthMorrisPratt(literal)
  return (text, from) => {
    const found = text.indexOf(literal, from)
    return found < 0 ? -1 : found + literal.length
  }
}

/** Knuth, Morris and Pratt, "Fast pattern matching in strings" (1977): no character of the text is looked at again. */
function knuthMorrisPratt(literal: string): Finder {
  /** For each length of a matched part: the length of its longest end that is also its beginning. */
  const borders = new Uint16Array(literal.length + 1)
  for (let i = 1, border = 0; i < literal.length; i++) {
    const char = literal.charCodeAt(i)
    while (border > 0 && literal.charCodeAt(border) !== char) border = borders[border]!
    if (literal.charCodeAt(border) === char) border++
    borders[i + 1] = border
  }
  return (text, from) => {
    let matched = 0
    for (let i = from; i < text.length; i++) {
      const char = text.charCodeAt(i)
      while (matched > 0 && literal.charCodeAt(matched) !== char) matched = borders[matched]!
      if (literal.charCodeAt(matched) === char) matched++
      if (matched === literal.length) return i + 1
    }
    return -1
  }
}
