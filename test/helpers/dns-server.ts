/**
 * A DNS server on loopback (RFC 1035, over UDP), for names of tests: it answers A and AAAA queries, also with what no honest zone has.
 *
 *   const dns = await createDnsServer(t)
 *   dns.names.set('evil.test', () => ['127.0.0.1', '::1'])
 *   createHttpClient({ resolve: dns.resolve, ... })
 */
import type { LookupAddress } from 'node:dns'
import { Resolver } from 'node:dns/promises'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { isIPv4 } from 'node:net'
import type { Test } from 'tap'
import ipaddr from 'ipaddr.js'

const TYPES = { A: 1, CNAME: 5, AAAA: 28 }
const HEADER_BYTES = 12

export async function createDnsServer(t: Test) {
  /** The addresses of a name at its n-th query of a type, from 0; no entry: it does not exist. */
  const names = new Map<string, (query: number) => string[]>()
  /** Names that stand for another one. */
  const aliases = new Map<string, string>()
  const counts = new Map<string, number>()
  const socket = createSocket('udp4')
  socket.on('message', (query, { port, address }) => socket.send(answer(query), port, address))
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  t.teardown(() => socket.close())

  function answer(query: Buffer): Buffer {
    const { name, type, end } = readQuestion(query)
    const alias = aliases.get(name)
    const count = counts.get(`${name} ${type}`) ?? 0
    counts.set(`${name} ${type}`, count + 1)
    const addresses = names.get(alias ?? name)?.(count) ?? []
    const isOfType = (ip: string) => isIPv4(ip) === (type === TYPES.A)
    const records = addresses.filter(isOfType).map((ip) => record(alias ?? name, type, bytesOf(ip)))
    if (alias !== undefined) records.unshift(record(name, TYPES.CNAME, nameBytes(alias)))
    const header = Buffer.alloc(HEADER_BYTES)
    query.copy(header, 0, 0, 2)
    // a recursive answer without error, or NXDOMAIN
    header.writeUInt16BE(addresses.length > 0 ? 0x8180 : 0x8183, 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(records.length, 6)
    return Buffer.concat([header, query.subarray(HEADER_BYTES, end), ...records])
  }

  const resolver = new Resolver({ timeout: 2000, tries: 3 })
  resolver.setServers([`127.0.0.1:${socket.address().port}`])
  const resolve = async (hostname: string): Promise<LookupAddress[]> => {
    const [four, six] = await Promise.all([
      resolver.resolve4(hostname).catch(() => []),
      resolver.resolve6(hostname).catch(() => []),
    ])
    const found = [
      ...four.map((address) => ({ address, family: 4 })),
      ...six.map((address) => ({ address, family: 6 })),
    ]
    if (found.length === 0) throw new Error(`queryA ENOTFOUND ${hostname}`)
    return found
  }
  return { names, aliases, resolve }
}

function readQuestion(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = []
  let at = HEADER_BYTES
  while (query[at]! > 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!))
    at += query[at]! + 1
  }
  return { name: labels.join('.').toLowerCase(), type: query.readUInt16BE(at + 1), end: at + 5 }
}

function record(name: string, type: number, data: Buffer): Buffer {
  const fields = Buffer.alloc(10)
  fields.writeUInt16BE(type, 0)
  fields.writeUInt16BE(1, 2)
  // a TTL of 0 s: a name whose address changes wants every query
  fields.writeUInt16BE(data.length, 8)
  return Buffer.concat([nameBytes(name), fields, data])
}

function nameBytes(name: string): Buffer {
  const labels = name.split('.').map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)]))
  return Buffer.concat([...labels, Buffer.of(0)])
}

function bytesOf(ip: string): Buffer {
  return Buffer.from(ipaddr.parse(ip).toByteArray())
}
