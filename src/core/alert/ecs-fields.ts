/**
 * Fields of the Elastic Common Schema 9 that hold observables, which scanners look up. `*` matches within a key, `**` any
 * number of keys. https://www.elastic.co/docs/reference/ecs/ecs-field-reference
 *
 * Left out: what names one's own inventory (`host`, `observer`, `user`, `agent`), ports, and times. `user.domain` and the like
 * are domains of directories.
 */

const SIDES = ['source', 'destination', 'client', 'server']

export const ECS_HASHES: readonly string[] = [
  '**.hash.*',
  'related.hash',
  // of pe, elf and macho
  '**.imphash',
  '**.pehash',
  '**.*import_hash',
  '**.telfhash',
  '**.symhash',
  '**.code_signature.thumbprint_*',
  'tls.client.ja3',
  'tls.server.ja3s',
  'package.checksum',
]

export const ECS_ADDRESSES: readonly string[] = [
  ...SIDES.flatMap((side) => [`**.${side}.ip`, `${side}.nat.ip`]),
  '**.indicator.ip',
  'related.ip',
  'dns.resolved_ip',
  'network.forwarded_ip',
]

export const ECS_DOMAINS: readonly string[] = [
  ...SIDES.flatMap((side) => [`${side}.domain`, `${side}.registered_domain`]),
  '**.url.domain',
  '**.url.registered_domain',
  'related.hosts',
  'dns.question.name',
  'dns.question.registered_domain',
  'dns.answers.name',
  'tls.client.server_name',
]

export const ECS_URLS: readonly string[] = [
  '**.url.full',
  '**.url.original',
  '**.origin_url',
  '**.origin_referrer_url',
  'http.request.referrer',
]

export const ECS_EMAILS: readonly string[] = ['email.*.address', '**.indicator.email.address']

/** Addresses or domains; an `address` may also be an e-mail address. */
const ECS_HOSTS = ['**.address', 'dns.answers.data', '**.x509.alternative_names']

const SERIAL_NUMBER = '**.x509.serial_number'

/** The preset "indicators". */
export const ECS_INDICATORS: readonly string[] = [
  ...ECS_HASHES,
  ...ECS_ADDRESSES,
  ...ECS_DOMAINS,
  ...ECS_URLS,
  ...ECS_EMAILS,
  ...ECS_HOSTS,
  SERIAL_NUMBER,
  'threat.enrichments.matched.atomic',
]

/** Fields of hashes, thumbprints and serial numbers: their digits are hexadecimal, however few they are. */
export const HASH_FIELDS: readonly string[] = [...ECS_HASHES, '**.*hash', '**.ja3', '**.ja3s', SERIAL_NUMBER]

/** Fields of hosts: a name in them is a domain, also without a dot. */
export const HOST_FIELDS: readonly string[] = [
  ...ECS_DOMAINS,
  '**.domain',
  '**.*_domain',
  '**.host.name',
  '**.hostname',
  '**.hosts',
  '**.server_name',
  '**.common_name',
  ...ECS_HOSTS,
]

/** Fields of other names, of files, processes and users: what looks like a domain in them (`Setup.exe`) is none. */
export const NAME_FIELDS: readonly string[] = ['**.name', '**.*_name']
