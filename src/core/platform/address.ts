/**
 * Which IP addresses a webhook may reach. Pure; http-client.ts asks before and after every connection.
 *
 * Promise: an address passes only if it is public unicast or lies in a range that the operator listed; what is unknown,
 * unassigned or a private address in disguise is refused.
 */
import ipaddr from 'ipaddr.js'

/** True when a webhook may reach the address (IPv4 or IPv6 text, without brackets). */
export type AddressRule = (address: string) => boolean

type Address = ipaddr.IPv4 | ipaddr.IPv6

/**
 * Inside 2000::/3 alone has IANA assigned global unicast addresses (RFC 4291 section 2.4). This also refuses
 * `::127.0.0.1`, an IPv4-compatible address that ipaddr.js calls unicast.
 */
const GLOBAL_UNICAST = ipaddr.parseCIDR('2000::/3')

/** Looks public, but inside Azure it is the host of the virtual machine, secrets included (Azure, "What is IP address 168.63.129.16"). */
const AZURE_HOST = ipaddr.parseCIDR('168.63.129.16/32')

/**
 * Makes the rule. An IPv4-mapped IPv6 address (`::ffff:10.0.0.1`) is judged as the IPv4 address in it; the other forms
 * that carry an IPv4 address (NAT64, 6to4, Teredo) are refused as a whole, since what they reach depends on the network.
 * @param allowPrivateTargets CIDRs that pass although they are not public
 */
export function createAddressRule(allowPrivateTargets: string[]): AddressRule {
  const listed = allowPrivateTargets.map((cidr) => ipaddr.parseCIDR(cidr))
  return (address) => {
    if (!ipaddr.isValid(address)) return false
    const ip = ipaddr.process(address)
    return isPublic(ip) || listed.some((range) => range[0].kind() === ip.kind() && ip.match(range))
  }
}

function isPublic(ip: Address): boolean {
  if (ip.range() !== 'unicast') return false
  return ip.kind() === 'ipv6' ? ip.match(GLOBAL_UNICAST) : !ip.match(AZURE_HOST)
}
