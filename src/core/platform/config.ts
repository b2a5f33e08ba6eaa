/**
 * Settings: the environment, checked once at start.
 *
 * Guarantee: a wrong setting stops the process with one line that names it and says how to correct it. Every default is
 * defined here and nowhere else.
 */
import { envSchema } from 'env-schema'
import ipaddr from 'ipaddr.js'
import { Type, type Static } from 'typebox'
import { isTopicPattern } from './aws-partitions.js'
import { durationMs } from './duration.js'
import { messageOf, SettingError } from './errors.js'
import { redisUrls } from './redis-url.js'

export const ROLES = ['all', 'api', 'worker'] as const
export type Role = (typeof ROLES)[number]

const Environment = Type.Object({
  HOST: Type.String({ default: '127.0.0.1', minLength: 1 }),
  PORT: Type.Integer({ default: 8080, minimum: 0, maximum: 65535 }),
  INTAKE_HOST: Type.String({ default: '' }),
  INTAKE_PORT: Type.Optional(Type.Integer({ minimum: 0, maximum: 65535 })),
  TRUST_PROXY: Type.String({ default: '' }),
  METRICS_PUBLIC: Type.Boolean({ default: false }),
  DATA_DIR: Type.String({ default: './data', minLength: 1 }),
  DATABASE_URL: Type.String({ default: '' }),
  REDIS_URL: Type.String({ default: '' }),
  ROLE: Type.Unsafe<Role>({ type: 'string', enum: [...ROLES], default: 'all' }),
  SNS_TOPICS: Type.String({ default: '' }),
  SNS_PUBLISH_TOPICS: Type.String({ default: '' }),
  SNS_EMULATOR: Type.String({ default: '' }),
  SNS_SIGNATURE_VERSIONS: Type.String({ default: '1,2' }),
  SNS_MAX_AGE_S: Type.Integer({ default: 4200, minimum: 60, maximum: 86400 }),
  API_KEYS: Type.String({ default: '' }),
  ENCRYPTION_KEY: Type.String({ default: '' }),
  ALLOW_PRIVATE_TARGETS: Type.String({ default: '' }),
  RETENTION_DAYS: Type.Integer({ default: 30, minimum: 1, maximum: 3650 }),
  ALERT_QUIET_AFTER: Type.String({ default: '' }),
  WEBHOOK_DISABLE_AFTER: Type.String({ default: '5d' }),
  SOURCE_SEVERITY: Type.String({ default: '' }),
  SOURCES_DISABLED: Type.String({ default: '' }),
  SOURCES_ENABLED: Type.String({ default: '' }),
  LOG_LEVEL: Type.Unsafe<LogLevel>({
    type: 'string',
    enum: ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
    default: 'info',
  }),
})

export type LogLevel = 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'

export interface Config {
  host: string
  port: number
  /** Where /sns alone is served; undefined: with everything else. */
  intake: { host: string; port: number } | undefined
  /** Addresses and CIDRs of proxies whose X-Forwarded-For names the client. */
  trustProxy: string[]
  /** Whether /metrics needs no key. */
  metricsPublic: boolean
  dataDir: string
  /** A postgres:// URL; undefined: the embedded database in `dataDir` is used. */
  databaseUrl: string | undefined
  /** None: the queue is in the database; several: the nodes of a cluster; one: a server, or redis+sentinel://. */
  redisUrls: string[]
  role: Role
  /** Patterns of topic ARNs, `*` allowed inside a part; none: topics need approval. */
  snsTopics: string[]
  /** Patterns of the topics that webhooks may publish to; none: no topic. */
  snsPublishTopics: string[]
  /** One more origin (scheme://host:port) trusted for certificates and SubscribeURLs. */
  snsEmulator: string | undefined
  /** Those that are taken: 1 signs a SHA-1 digest, 2 a SHA-256 one. */
  snsSignatureVersions: ('1' | '2')[]
  snsMaxAgeS: number
  /** Keys with full rights; none: one is made in `dataDir`. */
  apiKeys: string[]
  /** 32 bytes; undefined: one is made in `dataDir`. */
  encryptionKey: Buffer | undefined
  /** CIDRs that webhooks may reach although they are not public. */
  allowPrivateTargets: string[]
  retentionDays: number
  /** An alert without changes for this long is quiet, in milliseconds; undefined: alerts are never marked quiet. */
  alertQuietAfterMs: number | undefined
  /** A webhook whose attempts all fail for this long is disabled, in milliseconds. */
  disableAfterMs: number
  /** The entries of SOURCE_SEVERITY, SOURCES_DISABLED and SOURCES_ENABLED, which source/settings checks. */
  sourceSeverity: string[]
  sourcesDisabled: string[]
  sourcesEnabled: string[]
  logLevel: LogLevel
}

const MIN_API_KEY_LENGTH = 16

/**
 * Reads the settings.
 * @param environment as `process.env`; an empty value counts as not set
 * @throws SettingError that names the setting, in one line; it never repeats a secret's value
 */
export function loadConfig(environment: Record<string, string | undefined>): Config {
  const env = readEnvironment(environment)
  const config: Config = {
    host: env.HOST,
    port: env.PORT,
    intake: intakeOf(env),
    trustProxy: list(env.TRUST_PROXY).map(proxy),
    metricsPublic: env.METRICS_PUBLIC,
    dataDir: env.DATA_DIR,
    databaseUrl: databaseUrl(env.DATABASE_URL),
    redisUrls: redisUrls(env.REDIS_URL),
    role: env.ROLE,
    snsTopics: list(env.SNS_TOPICS).map(topicPatternOf('SNS_TOPICS')),
    snsPublishTopics: list(env.SNS_PUBLISH_TOPICS).map(topicPatternOf('SNS_PUBLISH_TOPICS')),
    snsEmulator: emulatorOrigin(env.SNS_EMULATOR),
    snsSignatureVersions: list(env.SNS_SIGNATURE_VERSIONS).map(signatureVersion),
    snsMaxAgeS: env.SNS_MAX_AGE_S,
    apiKeys: list(env.API_KEYS).map(apiKey),
    encryptionKey: encryptionKeyOf('ENCRYPTION_KEY', env.ENCRYPTION_KEY),
    allowPrivateTargets: list(env.ALLOW_PRIVATE_TARGETS).map(cidr),
    retentionDays: env.RETENTION_DAYS,
    alertQuietAfterMs: alertQuietAfter(env.ALERT_QUIET_AFTER, env.RETENTION_DAYS),
    disableAfterMs: disableAfter(env.WEBHOOK_DISABLE_AFTER),
    sourceSeverity: list(env.SOURCE_SEVERITY),
    sourcesDisabled: list(env.SOURCES_DISABLED),
    sourcesEnabled: list(env.SOURCES_ENABLED),
    logLevel: env.LOG_LEVEL,
  }
  if (config.databaseUrl === undefined) requireOneProcess(config)
  return config
}

function readEnvironment(environment: Record<string, string | undefined>): Static<typeof Environment> {
  const data: Record<string, string> = {}
  for (const name of Object.keys(Environment.properties)) {
    const value = environment[name]?.trim()
    if (value) data[name] = value
  }
  try {
    return envSchema<Static<typeof Environment>>({ schema: Environment, data, env: false })
  } catch (error) {
    throw new SettingError(settingMessage(error), { cause: error })
  }
}

/** env-schema's message is "env/PORT must be integer": the setting is named as the operator wrote it. */
function settingMessage(error: unknown): string {
  const [first = 'a setting is wrong'] = messageOf(error).split(', env')
  const failed: unknown = (error as { errors?: unknown }).errors
  const params = Array.isArray(failed) ? (failed[0] as { params?: { allowedValues?: string[] } }).params : undefined
  const allowed = params?.allowedValues ? `: ${params.allowedValues.join(', ')}` : ''
  return first.replace(/^env\//, '') + allowed
}

function list(text: string): string[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}

function parseUrl(name: string, text: string, protocols: string[]): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !protocols.includes(url.protocol)) {
    throw new SettingError(`${name} must be a URL that starts with ${protocols.map((p) => `${p}//`).join(' or ')}`)
  }
  return url
}

function databaseUrl(text: string): string | undefined {
  if (text === '') return undefined
  parseUrl('DATABASE_URL', text, ['postgres:', 'postgresql:'])
  return text
}

function intakeOf({ HOST, INTAKE_HOST, INTAKE_PORT }: Static<typeof Environment>): Config['intake'] {
  if (INTAKE_PORT !== undefined) return { host: INTAKE_HOST || HOST, port: INTAKE_PORT }
  if (INTAKE_HOST === '') return undefined
  throw new SettingError('INTAKE_HOST needs INTAKE_PORT: the port on which /sns alone is served')
}

function proxy(text: string): string {
  if (!ipaddr.isValid(text) && !ipaddr.isValidCIDR(text)) {
    throw new SettingError(`TRUST_PROXY must be addresses or CIDRs such as 10.0.0.0/8, got ${text}`)
  }
  return text
}

function signatureVersion(text: string): '1' | '2' {
  if (text === '1' || text === '2') return text
  throw new SettingError(`SNS_SIGNATURE_VERSIONS must be 1, 2 or both (1,2), got ${text}`)
}

function topicPatternOf(name: string): (text: string) => string {
  return (text) => {
    if (isTopicPattern(text)) return text
    throw new SettingError(`${name} must be topic ARNs such as arn:aws:sns:us-east-1:123456789012:alerts, got ${text}`)
  }
}

function emulatorOrigin(text: string): string | undefined {
  if (text === '') return undefined
  const url = parseUrl('SNS_EMULATOR', text, ['http:', 'https:'])
  if (url.pathname !== '/' || url.search || url.hash || url.username) {
    throw new SettingError('SNS_EMULATOR must be an origin alone, such as http://localhost:4566')
  }
  return url.origin
}

function apiKey(text: string): string {
  if (text.length < MIN_API_KEY_LENGTH || !/^[\x21-\x7e]+$/.test(text)) {
    throw new SettingError(`API_KEYS must be keys of ${MIN_API_KEY_LENGTH} or more printable ASCII characters`)
  }
  return text
}

/**
 * Parses an encryption key; undefined when the setting is empty.
 * @param name the setting's name, for the error
 * @throws SettingError when it is not 32 bytes in base64
 */
export function encryptionKeyOf(name: string, text: string): Buffer | undefined {
  if (text === '') return undefined
  const key = Buffer.from(text, 'base64')
  if (key.length !== 32) {
    throw new SettingError(`${name} must be 32 bytes in base64 (make one with: openssl rand -base64 32)`)
  }
  return key
}

function cidr(text: string): string {
  if (!ipaddr.isValidCIDR(text)) {
    throw new SettingError(`ALLOW_PRIVATE_TARGETS must be CIDRs such as 10.0.0.0/8, got ${text}`)
  }
  return text
}

function alertQuietAfter(text: string, retentionDays: number): number | undefined {
  if (text === '') return undefined
  const ms = durationMs(text)
  if (ms === undefined) throw new SettingError('ALERT_QUIET_AFTER must be a duration such as 30m, 12h or 7d')
  if (ms >= durationMs(`${retentionDays}d`)!) {
    throw new SettingError(`ALERT_QUIET_AFTER must be shorter than RETENTION_DAYS (${retentionDays}d)`)
  }
  return ms
}

function disableAfter(text: string): number {
  const ms = durationMs(text)
  if (ms === undefined) throw new SettingError('WEBHOOK_DISABLE_AFTER must be a duration such as 12h or 5d')
  return ms
}

/** Refuses settings that need several processes: one process alone can open the embedded database. */
function requireOneProcess(config: Config): void {
  if (config.redisUrls.length > 0) {
    throw new SettingError(
      'REDIS_URL needs DATABASE_URL too: the embedded database cannot be shared with other processes',
    )
  }
  if (config.role !== 'all') {
    throw new SettingError(`ROLE=${config.role} needs DATABASE_URL: the embedded database belongs to one process`)
  }
}
