import fc from 'fast-check'
import t from 'tap'
import { createAddressRule } from '../../../src/core/platform/address.js'

const PUBLIC = [
  '1.1.1.1',
  '93.184.216.34',
  '172.15.255.255',
  '172.32.0.1',
  '100.63.255.255',
  '2606:4700::1111',
  '2a00:1450:4001::200e',
  '::ffff:8.8.8.8',
]

const REFUSED: Record<string, string[]> = {
  'this host': ['0.0.0.0', '0.1.2.3', '::'],
  loopback: ['127.0.0.1', '127.255.255.254', '::1'],
  private: ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fc00::1', 'fd00:ec2::254', 'fec0::1'],
  'link local': ['169.254.169.254', '169.254.170.2', 'fe80::1', 'fe80::1%eth0'],
  'carrier-grade NAT': ['100.64.0.1', '100.100.100.200', '100.127.255.255'],
  'reserved and documentation': [
    '192.0.0.192',
    '192.0.2.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '240.0.0.1',
    '2001:db8::1',
    '3fff::1',
    '100::1',
  ],
  'multicast and broadcast': ['224.0.0.1', '239.255.255.255', '255.255.255.255', 'ff02::1'],
  'the host of an Azure machine': ['168.63.129.16', '::ffff:168.63.129.16'],
  'IPv4 in IPv6': [
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '::ffff:a9fe:a9fe',
    '::127.0.0.1',
    '::ffff:0:127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b::808:808',
    '64:ff9b:1::1',
    '2002:7f00:1::',
    '2002:808:808::',
    '2001:0:1::1',
  ],
  unassigned: ['4000::1', '1::1', '5f00::1', 'e000::1'],
  'not an address': ['', 'localhost', '127.0.0.1:80', '[::1]', '1.1.1.1/32', 'example.com'],
}

t.test('public unicast addresses pass', async (t) => {
  const mayReach = createAddressRule([])
  for (const address of PUBLIC) t.ok(mayReach(address), address)
})

for (const [kind, addresses] of Object.entries(REFUSED)) {
  t.test(`refused: ${kind}`, async (t) => {
    const mayReach = createAddressRule([])
    for (const address of addresses) t.notOk(mayReach(address), address)
  })
}

t.test('addresses in a listed range pass, others do not', async (t) => {
  const mayReach = createAddressRule(['10.1.0.0/16', 'fd00::/8', '127.0.0.1/32', '64:ff9b::/96'])
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', 'fd12::1', '127.0.0.1', '64:ff9b::a00:1', '1.1.1.1']) {
    t.ok(mayReach(address), address)
  }
  for (const address of ['10.2.0.1', 'fc00::1', '127.0.0.2', '::1', '64:ff9b:1::1']) t.notOk(mayReach(address), address)
})

t.test('an IPv4-mapped address is checked as the IPv4 address in it', async () => {
  const mayReach = createAddressRule(['10.0.0.0/8'])
  fc.assert(fc.property(fc.ipV4(), (address) => mayReach(`::ffff:${address}`) === mayReach(address)))
})

t.test('an IPv6 address outside 2000::/3 never passes', async () => {
  const mayReach = createAddressRule([])
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 0xffff }), (first, last) => {
      return (first >= 0x2000 && first < 0x4000) || !mayReach(`${first.toString(16)}::${last.toString(16)}`)
    }),
  )
})
