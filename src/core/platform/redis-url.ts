/**
 * REDIS_URL: one server, the nodes of a cluster (several URLs), or the Sentinels that know where the primary is.
 *
 * Sentinels are one URL in the form of the Python packages redis-sentinel-url and limits:
 * redis+sentinel://[user:password@]host[:26379][,host...]/name[/database][?sentinel_username=..&sentinel_password=..]
 */
import { SettingError } from './errors.js'

export interface RedisHost {
  host: string
  port: number
}

export interface RedisSentinels {
  sentinels: RedisHost[]
  /** The name that the Sentinels have for the primary. */
  name: string
  db: number
  username: string | undefined
  password: string | undefined
  sentinelUsername: string | undefined
  sentinelPassword: string | undefined
  /** To the Sentinels and to the servers. */
  tls: boolean
}

const SENTINEL_FORM = 'redis+sentinel://host:26379,host:26379/name-of-the-primary'
const SENTINEL_URL =
  /^redis(?<tls>s?)\+sentinel:\/\/(?:(?<account>[^@/?]*)@)?(?<hosts>[^@/?]+)\/(?<name>[^/?]+)(?:\/(?<db>\d+))?\/?(?:\?(?<query>.*))?$/
const SENTINEL_HOST = /^(?<host>\[[\da-fA-F:.]+\]|[^:[\]\s]+)(?::(?<port>\d{1,5}))?$/
const SENTINEL_PORT = 26379
const SENTINEL_QUERY = new Set(['sentinel_username', 'sentinel_password'])

/**
 * The URLs in the setting: one for a server or for Sentinels, several for a cluster.
 * @throws SettingError in one line that does not repeat a password
 */
export function redisUrls(text: string): string[] {
  if (isSentinelUrl(text)) {
    parseSentinelUrl(text)
    return [text]
  }
  const urls = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
  for (const url of urls) {
    if (URL.canParse(url) && ['redis:', 'rediss:'].includes(new URL(url).protocol)) continue
    throw new SettingError(
      `REDIS_URL must be a URL that starts with redis:// or rediss://, several of them with commas for a cluster, or ${SENTINEL_FORM}`,
    )
  }
  return urls
}

export function isSentinelUrl(text: string): boolean {
  return /^rediss?\+sentinel:/.test(text)
}

/** @throws SettingError */
export function parseSentinelUrl(text: string): RedisSentinels {
  const parts = SENTINEL_URL.exec(text)?.groups
  if (!parts) throw new SettingError(`REDIS_URL must look like ${SENTINEL_FORM} to find the primary by Sentinels`)
  const query = new URLSearchParams(parts.query)
  const unknown = [...query.keys()].find((key) => !SENTINEL_QUERY.has(key))
  if (unknown !== undefined) {
    throw new SettingError(`REDIS_URL takes ${[...SENTINEL_QUERY].join(' and ')} after its ?, not ${unknown}`)
  }
  const [username, password] = account(parts.account ?? '')
  return {
    sentinels: parts.hosts!.split(',').map(sentinelHost),
    name: decoded(parts.name!),
    db: Number(parts.db ?? 0),
    username,
    password,
    sentinelUsername: query.get('sentinel_username') ?? undefined,
    sentinelPassword: query.get('sentinel_password') ?? undefined,
    tls: parts.tls === 's',
  }
}

function sentinelHost(text: string): RedisHost {
  const parts = SENTINEL_HOST.exec(text.trim())?.groups
  const port = Number(parts?.port ?? SENTINEL_PORT)
  if (!parts || port < 1 || port > 65535) {
    throw new SettingError(`REDIS_URL must name Sentinels as host:port with commas between, got ${text}`)
  }
  return { host: parts.host!.replace(/^\[|\]$/g, ''), port }
}

function account(text: string): [username: string | undefined, password: string | undefined] {
  const colon = text.indexOf(':')
  const [username, password] = colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)]
  return [decoded(username) || undefined, decoded(password) || undefined]
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new SettingError('REDIS_URL has a % that begins no percent-encoded character: write %25 for it')
  }
}
