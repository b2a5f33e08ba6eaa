/**
 * Which IP addresses a webhook may reach. Pure; connector.ts applies it before and after every connection.
 *
 * Guarantee: an address passes only if it is public unicast or in a range that the operator listed. Unknown and
 * unassigned addresses are refused, and so are other spellings of private ones.
 */
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
