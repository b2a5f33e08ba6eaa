/**
 * IP networks in CIDR notation, many compared with an address at once. Pure.
 *
 * Guarantee: the time of a test grows with the logarithm of their number. Texts count as addresses exactly as in ipaddr.js,
 * but for IPv4 in other notations than four decimal numbers (`10.1`, `0x0a.0.0.1`).
 */
import ipaddr from 'ipaddr.js'

/** The bits of an address: 48, 48 and 32 of them; of IPv4 the last 32. */
type Bits = readonly [high: number, middle: number, low: number]

interface Range {
  first: Bits
  last: Bits
}

/** A network: a range of IPv4 or of IPv6. */
export interface Network extends Range {
  isIpv4: boolean
}

/** A zone may follow the 45 characters of the longest address. */
const ADDRESS_LENGTH = 100
/** The upper 96 bits of an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2). */
const MAPPED_MIDDLE = 0xffff

/** @returns undefined when the text is no IPv4 or IPv6 range */
export function parseNetwork(text: string): Network | undefined {
  const [address = '', bits = '', ...more] = text.split('/')
  const isIpv4 = ipaddr.IPv4.isValidFourPartDecimal(address)
  if (address.length > ADDRESS_LENGTH || (!isIpv4 && !ipaddr.IPv6.isValid(address))) return undefined
  if (more.length > 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (isIpv4 ? 32 : 128)) return undefined
  const { parts } = isIpv4 ? ipaddr.IPv4.parse(address).toIPv4MappedAddress() : ipaddr.IPv6.parse(address)
  const length = Number(bits) + (isIpv4 ? 96 : 0)
  const masks = parts.map((_, i) => (0xffff << (16 - Math.min(16, Math.max(0, length - 16 * i)))) & 0xffff)
  const first = bitsOf(parts.map((part, i) => part & masks[i]!))
  const last = bitsOf(parts.map((part, i) => part | (~masks[i]! & 0xffff)))
  return { isIpv4, first, last }
}

/**
 * True for an address in one of the networks; false for an address of another family and for any other text. An
 * IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) also matches as its IPv4 address.
 */
export function networkTest(networks: readonly Network[]): (text: string) => boolean {
  const ipv4 = union(networks.filter(({ isIpv4 }) => isIpv4))
  const ipv6 = union(networks.filter(({ isIpv4 }) => !isIpv4))
  return (text) => {
    const low = ipv4AddressOf(text)
    if (low >= 0) return has(ipv4, [0, MAPPED_MIDDLE, low])
    const bits = ipv6AddressOf(text)
    if (bits === undefined) return false
    return has(ipv6, bits) || (bits[0] === 0 && bits[1] === MAPPED_MIDDLE && has(ipv4, bits))
  }
}

/** The ranges without overlaps, in ascending order. */
function union(ranges: readonly Range[]): Range[] {
  const merged: Range[] = []
  for (const { first, last } of [...ranges].sort((a, b) => compare(a.first, b.first))) {
    const before = merged.at(-1)
    if (!before || compare(before.last, first) < 0) merged.push({ first, last })
    else if (compare(before.last, last) < 0) before.last = last
  }
  return merged
}

function has(ranges: readonly Range[], bits: Bits): boolean {
  let [low, high] = [0, ranges.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if (compare(ranges[middle]!.first, bits) <= 0) low = middle + 1
    else high = middle
  }
  return low > 0 && compare(bits, ranges[low - 1]!.last) <= 0
}

function compare(a: Bits, b: Bits): number {
  return a[0] - b[0] || a[1] - b[1] || a[2] - b[2]
}

function bitsOf(parts: readonly number[]): Bits {
  const [a, b, c, d, e, f, g, h] = parts as [number, number, number, number, number, number, number, number]
  return [(a * 65536 + b) * 65536 + c, (d * 65536 + e) * 65536 + f, g * 65536 + h]
}

const ZERO = 0x30
const NINE = 0x39
const POINT = 0x2e
const COLON = 0x3a
const A = 0x61
/** The bit in which a lower-case ASCII letter differs from its capital. */
const LOWER_CASE_BIT = 0x20

/** @returns -1 when the text is not four decimal numbers */
function ipv4AddressOf(text: string): number {
  if (text.length > 15) return -1
  let [address, number, digits, points] = [0, 0, 0, 0]
  for (let i = 0; i < text.length; i++) {
    const char = text.charCodeAt(i)
    if (char >= ZERO && char <= NINE) {
      if (digits > 0 && number === 0) return -1
      number = number * 10 + char - ZERO
      if (number > 255) return -1
      digits++
    } else if (char === POINT && digits > 0 && points < 3) {
      address = address * 256 + number
      number = digits = 0
      points++
    } else return -1
  }
  return points === 3 && digits > 0 ? address * 256 + number : -1
}

const ZONE = /^%[0-9a-z]+$/i
const OCTET = /^(?:\d+|0x[0-9a-f]+)$/i

function ipv6AddressOf(text: string): Bits | undefined {
  if (text.length > ADDRESS_LENGTH || !text.includes(':')) return undefined
  const percent = text.indexOf('%')
  if (percent < 0) return partsUpTo(text, text.length)
  return ZONE.test(text.slice(percent)) ? partsUpTo(text, percent) : undefined
}

/** The address in the characters before `end`. */
function partsUpTo(text: string, end: number): Bits | undefined {
  const parts: number[] = []
  /** How many parts are before `::`. */
  let gap: number | undefined
  let at = 0
  if (text.startsWith('::')) [gap, at] = [0, 2]
  while (at < end || gap === undefined) {
    const start = at
    let part = 0
    for (let digit = hexDigitAt(text, at); digit >= 0; digit = hexDigitAt(text, ++at)) part = part * 16 + digit
    if (at < end && text.charCodeAt(at) !== COLON) return withIpv4(parts, gap, start > 0 ? text.slice(start, end) : '')
    if (at === start || at - start > 4) return undefined
    parts.push(part)
    if (at === end) break
    if (++at === end) return undefined
    if (text.charCodeAt(at) !== COLON) continue
    if (gap !== undefined) return undefined
    gap = parts.length
    at++
  }
  return complete(parts, gap, 8)
}

/** @param text four numbers, decimal or hexadecimal, for the last two parts */
function withIpv4(parts: readonly number[], gap: number | undefined, text: string): Bits | undefined {
  const octets = text.split('.').map((octet) => (OCTET.test(octet) ? Number(octet) : NaN))
  if (octets.length !== 4 || !octets.every((octet) => octet <= 255)) return undefined
  const [a, b, c, d] = octets as [number, number, number, number]
  const low = (a * 256 + b) * 65536 + c * 256 + d
  // ipaddr.js takes an IPv4-compatible address for the IPv4-mapped one
  if (parts.length === 0) return gap === 0 ? [0, MAPPED_MIDDLE, low] : undefined
  const bits = complete(parts, gap, 6)
  return bits && [bits[0], bits[1], low]
}

/** The address with zeros in place of `::`, which stands for one part or more. */
function complete(parts: readonly number[], gap: number | undefined, count: number): Bits | undefined {
  if (gap === undefined ? parts.length !== count : parts.length >= count) return undefined
  const skipped = gap === undefined ? 0 : count - parts.length
  const part = (i: number) => (gap === undefined || i < gap ? parts[i]! : i < gap + skipped ? 0 : parts[i - skipped]!)
  const low = count === 8 ? part(6) * 65536 + part(7) : 0
  return [(part(0) * 65536 + part(1)) * 65536 + part(2), (part(3) * 65536 + part(4)) * 65536 + part(5), low]
}

/** @returns -1 for any other character */
function hexDigitAt(text: string, at: number): number {
  const char = text.charCodeAt(at)
  if (char >= ZERO && char <= NINE) return char - ZERO
  const letter = (char | LOWER_CASE_BIT) - A
  return letter >= 0 && letter < 6 ? letter + 10 : -1
}
