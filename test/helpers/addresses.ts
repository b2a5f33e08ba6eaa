/**
 * Addresses that a webhook must not reach, from IANA's registries of special-purpose addresses, and their spellings in URLs.
 * Independent of the relay's code and of its library.
 */
import { BlockList, isIPv6 } from 'node:net'

/** IANA, "IPv4 Special-Purpose Address Registry"; multicast; Azure's host. */
export const SPECIAL_IPV4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12', '192.0.0.0/24'],
  ...['192.0.2.0/24', '192.88.99.0/24', '192.168.0.0/16', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24'],
  ...['224.0.0.0/4', '240.0.0.0/4', '168.63.129.16/32'],
]

/** IANA, "IPv6 Special-Purpose Address Registry"; all that is not global unicast (2000::/3). */
export const SPECIAL_IPV6 = [
  ...['::/3', '4000::/2', '8000::/1', '2001::/32', '2001:2::/48', '2001:10::/28', '2001:db8::/32', '2002::/16'],
  '3fff::/20',
]

/** Addresses at the ends of each range and in it, and next to it. */
export function edgesOf(cidr: string): { inside: string[]; beside: string[] } {
  const [base, bits] = cidr.split('/') as [string, string]
  const width = isIPv6(base) ? 128 : 32
  const size = 1n << BigInt(width - Number(bits))
  const first = numberOf(base)
  const inside = [first, first + 1n, first + size / 2n, first + size - 1n].filter((ip) => ip < first + size)
  const beside = [first - 1n, first + size].filter((ip) => ip >= 0n && ip < 1n << BigInt(width))
  const text = (ip: bigint) => textOf(ip, width)
  return { inside: [...new Set(inside.map(text))], beside: beside.map(text) }
}

/** Whether an address is in one of the ranges, as Node says. */
export function specialAddresses(): (address: string) => boolean {
  // of their own, since a list takes IPv4 for what is mapped into IPv6
  const lists = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const cidr of [...SPECIAL_IPV4, ...SPECIAL_IPV6]) {
    const [base, bits] = cidr.split('/') as [string, string]
    const family = isIPv6(base) ? 'ipv6' : 'ipv4'
    lists[family].addSubnet(base, Number(bits), family)
  }
  return (address) => {
    const family = isIPv6(address) ? 'ipv6' : 'ipv4'
    return lists[family].check(address, family)
  }
}

/** The hosts of a URL that mean an IPv4 address: to a parser of URLs (WHATWG), a resolver, or a network with a translator. */
export function spellingsOf(ipv4: string): string[] {
  const [a, b, c, d] = ipv4.split('.').map(Number) as [number, number, number, number]
  const whole = ((a * 256 + b) * 256 + c) * 256 + d
  const hex = (value: number, digits = 0) => value.toString(16).padStart(digits, '0')
  const octal = (value: number) => `0${value.toString(8)}`
  const high = hex(a * 256 + b)
  const low = hex(c * 256 + d)
  const wide = [...ipv4].map((char) => (char === '.' ? '\u3002' : String.fromCharCode(char.charCodeAt(0) + 0xfee0)))
  return [
    ...[ipv4, `${ipv4}.`, `${a}.${b}.${c * 256 + d}`, `${a}.${(b * 256 + c) * 256 + d}`, String(whole)],
    ...[`0x${hex(whole)}`, `0X${hex(whole).toUpperCase()}`, `0x0000${hex(whole)}`, octal(whole), `000${octal(whole)}`],
    ...[
      `0x${hex(a)}.0x${hex(b)}.0x${hex(c)}.0x${hex(d)}`,
      [a, b, c, d].map(octal).join('.'),
      `${octal(a)}.${b}.0x${hex(c)}.${d}`,
    ],
    ...[
      wide.join(''),
      encodeURIComponent(ipv4).replaceAll('.', '%2e'),
      [...ipv4].map((char) => `%${hex(char.charCodeAt(0))}`).join(''),
    ],
    ...[`[::ffff:${ipv4}]`, `[::ffff:${high}:${low}]`, `[0:0:0:0:0:FFFF:${high.toUpperCase()}:${low.toUpperCase()}]`],
    ...[`[::${ipv4}]`, `[::ffff:0:${high}:${low}]`, `[64:ff9b::${high}:${low}]`, `[64:ff9b:1::${high}:${low}]`],
    ...[`[2002:${high}:${low}::]`, `[2002:${high}:${low}::1]`, `[2001:0:${high}:${low}::1]`],
  ]
}

function numberOf(ip: string): bigint {
  if (!isIPv6(ip)) return ip.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n)
  const [head = '', tail] = ip.split('::')
  const groups = (text: string) => text.split(':').filter((group) => group !== '')
  const [before, after] = [groups(head), groups(tail ?? '')]
  const zeros = Array<string>(8 - before.length - after.length).fill('0')
  return [...before, ...zeros, ...after].reduce((sum, group) => sum * 0x10000n + BigInt(`0x${group}`), 0n)
}

function textOf(ip: bigint, width: number): string {
  const [bits, base, mark] = width === 32 ? ([8, 10, '.'] as const) : ([16, 16, ':'] as const)
  const parts = Array.from(
    { length: width / bits },
    (_, i) => (ip >> BigInt(width - bits * (i + 1))) & ((1n << BigInt(bits)) - 1n),
  )
  return parts.map((part) => part.toString(base)).join(mark)
}
