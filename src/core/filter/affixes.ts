/**
 * Which texts begin, or end, with one of many. Pure.
 *
 * Guarantee: a test takes time at most proportional to the length of the text, however many affixes there are; they are
 * kept in a tree that has at most two nodes for each.
 */

type Side = 'start' | 'end'

/** A part that all affixes below it have in common. */
interface Node {
  part: string
  /** An affix ends here; longer ones are left out, since this one is enough. */
  isAffix: boolean
  /** By their first character, or their last one for suffixes. */
  next: Map<number, Node>
}

/** @returns a test that is true for a text that has one of the affixes at that side */
export function affixTest(affixes: readonly string[], side: Side): (text: string) => boolean {
  if (affixes.length === 1) {
    const affix = affixes[0]!
    return side === 'start' ? (text) => text.startsWith(affix) : (text) => text.endsWith(affix)
  }
  const root = treeOf(affixes, side)
  return side === 'start' ? (text) => hasPrefix(root, text) : (text) => hasSuffix(root, text)
}

function hasPrefix(root: Node, text: string): boolean {
  let at = 0
  for (let node = root; ;) {
    if (node.isAffix) return true
    const next = node.next.get(text.charCodeAt(at))
    if (!next || !text.startsWith(next.part, at)) return false
    at += next.part.length
    node = next
  }
}

function hasSuffix(root: Node, text: string): boolean {
  let end = text.length
  for (let node = root; ;) {
    if (node.isAffix) return true
    const next = node.next.get(text.charCodeAt(end - 1))
    if (!next || !text.endsWith(next.part, end)) return false
    end -= next.part.length
    node = next
  }
}

function treeOf(affixes: readonly string[], side: Side): Node {
  const root: Node = { part: '', isAffix: false, next: new Map() }
  // the shorter ones first, so that what is put in never has another in it that comes later
  for (const affix of [...affixes].sort((a, b) => a.length - b.length)) put(root, affix, side)
  return root
}

function put(root: Node, affix: string, side: Side): void {
  let node = root
  for (let rest = affix; !node.isAffix;) {
    if (rest === '') {
      node.isAffix = true
      return
    }
    const key = rest.charCodeAt(side === 'start' ? 0 : rest.length - 1)
    let next = node.next.get(key)
    if (!next) {
      node.next.set(key, { part: rest, isAffix: true, next: new Map() })
      return
    }
    const common = commonLength(next.part, rest, side)
    if (common < next.part.length) node.next.set(key, (next = splitAt(next, common, side)))
    rest = side === 'start' ? rest.slice(common) : rest.slice(0, rest.length - common)
    node = next
  }
}

/** A node of the first characters with the node of the others below it. */
function splitAt(node: Node, length: number, side: Side): Node {
  const { part } = node
  const [first, rest] =
    side === 'start'
      ? [part.slice(0, length), part.slice(length)]
      : [part.slice(part.length - length), part.slice(0, part.length - length)]
  const key = rest.charCodeAt(side === 'start' ? 0 : rest.length - 1)
  return { part: first, isAffix: false, next: new Map([[key, { ...node, part: rest }]]) }
}

function commonLength(one: string, other: string, side: Side): number {
  const length = Math.min(one.length, other.length)
  const at = side === 'start' ? (text: string, i: number) => text[i] : (text: string, i: number) => text.at(-1 - i)
  let common = 0
  while (common < length && at(one, common) === at(other, common)) common++
  return common
}
