/**
 * IP addresses: which of them a webhook may reach (connector.ts applies it before and after every connection), and one
 * spelling of each. Pure.
 *
 * Guarantee: an address passes only if it is public unicast or in a range that the operator listed. Unknown and
 * unassigned addresses are refused, and so are other spellings of private ones.
 */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** True when a webhook may reach the address (IPv4 or IPv6 text, without brackets). */
export type AddressRule = (address: string) => boolean

type Address = ipaddr.IPv4 | ipaddr.IPv6

/**
 * IANA assigns global unicast addresses from 2000::/3 only (RFC 4291 section 2.4). The check also refuses
 * `::127.0.0.1`, an IPv4-compatible address that ipaddr.js classifies as unicast.
 */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3')

/**
 * A public address that inside Azure reaches the virtual machine's host and its secrets (Azure, "What is IP address
 * 168.63.129.16").
 */
const AZURE_HOST = ipaddr.parseCIDR('168.63.129.16/32')

/**
 * Makes the rule. An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) is checked as the IPv4 address in it. The other forms
 * that contain an IPv4 address (NAT64, 6to4, Teredo) are refused, since what they reach depends on the network.
 * @param allowPrivateTargets CIDRs that pass although they are not public
 */
export function createAddressRule(allowPrivateTargets: string[]): AddressRule {
  const allowed = allowPrivateTargets.map((cidr) => ipaddr.parseCIDR(cidr))
  return (address) => {
    if (!ipaddr.isValid(address)) return false
    const ip = ipaddr.process(address)
    return isPublic(ip) || allowed.some((range) => range[0].kind() === ip.kind() && ip.match(range))
  }
}

function isPublic(ip: Address): boolean {
  if (ip.range() !== 'unicast') return false
  return ip.kind() === 'ipv6' ? ip.match(GLOBAL_UNICAST) : !ip.match(AZURE_HOST)
}

/**
 * One spelling of an address: IPv6 as RFC 5952 writes it, an IPv4-mapped one as the IPv4 address in it; a zone stays.
 * @returns undefined when the text is no address. IPv4 is four decimal numbers: `1`, `010.0.0.1` and `0x7f.1` are none.
 */
export function normalAddress(text: string): string | undefined {
  const version = isIP(text)
  if (version === 4) return text
  if (version === 0) return undefined
  // ipaddr.js takes `::1.2.3.4`, an IPv4-compatible address (RFC 4291 section 2.5.5.1), for the IPv4-mapped one.
  const ipv6 = text.replace(/^::(?=\d+\.)/, '0:0:0:0:0:0:')
  if (!ipaddr.IPv6.isValid(ipv6)) return undefined
  const parsed = ipaddr.IPv6.parse(ipv6)
  const ip = parsed.isIPv4MappedAddress() && !text.includes('%') ? parsed.toIPv4Address() : parsed
  return ip.kind() === 'ipv6' ? (ip as ipaddr.IPv6).toRFC5952String() : ip.toString()
}

/** One spelling of a network in CIDR notation; undefined when the text is none. Bits beyond the prefix stay. */
export function normalNetwork(text: string): string | undefined {
  const [, address = '', bits = ''] = /^([^/]+)\/(\d{1,3})$/.exec(text) ?? []
  const normal = normalAddress(address)
  if (normal === undefined) return undefined
  const isMapped = address.includes(':') && !normal.includes(':')
  const network = `${isMapped ? address.toLowerCase() : normal}/${Number(bits)}`
  return ipaddr.isValidCIDR(network) ? network : undefined
}

/** True for an address, in any spelling that a URL may have (`0x7f.1` too), that is not public. */
export function isPrivateAddress(text: string): boolean {
  return ipaddr.isValid(text) && !isPublic(ipaddr.process(text))
}

/** True for a network in CIDR notation that has no public address: both its ends are private in the same way. */
export function isPrivateNetwork(text: string): boolean {
  if (!ipaddr.isValidCIDR(text)) return false
  const kind = text.includes(':') ? ipaddr.IPv6 : ipaddr.IPv4
  const ends: Address[] = [kind.networkAddressFromCIDR(text), kind.broadcastAddressFromCIDR(text)]
  return ends.every((end) => !isPublic(end)) && ends[0]!.range() === ends[1]!.range()
}
