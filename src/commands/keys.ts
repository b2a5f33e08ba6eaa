/** `alert-relay keys`: creates, lists and revokes API keys of a running relay. */
import { parseArgs } from 'node:util'
import { SCOPES, type ApiKey } from '../core/access/api-key.js'
import { durationMs } from '../core/platform/duration.js'
import { CLIENT_OPTIONS, openClient } from './client.js'
import { printable, UsageError, type Command, type CommandIo, type ExitCode } from './command.js'

const USAGE = `
  alert-relay keys create --name NAME --scope ${SCOPES.join('|')} [--expires 90d]
      [--webhook ID]... [--topic PATTERN]... [--url URL]
  alert-relay keys list [--url URL]
  alert-relay keys revoke ID [--url URL]

  They speak to the relay at --url, by default the one here, with the key in RELAY_API_KEY, else API_KEYS, else DATA_DIR.
`

const OPTIONS = {
  ...CLIENT_OPTIONS,
  name: { type: 'string' },
  scope: { type: 'string' },
  expires: { type: 'string' },
  webhook: { type: 'string', multiple: true },
  topic: { type: 'string', multiple: true },
} as const

export const keysCommand: Command = {
  usage: USAGE,
  async run(args, io) {
    const { values, positionals } = parseArgs({ args, allowPositionals: true, options: OPTIONS })
    const [action, id, ...rest] = positionals
    if (action === undefined) throw new UsageError('keys needs create, list or revoke')
    if (!['create', 'list', 'revoke'].includes(action)) throw new UsageError(`keys has no '${action}'`)
    const surplus = action === 'revoke' ? rest[0] : id
    if (surplus !== undefined) throw new UsageError(`keys ${action} does not take '${surplus}'`)
    if (action === 'create') return create(values, io)
    const { url, ...others } = values
    const [option] = Object.keys(others)
    if (option !== undefined) throw new UsageError(`keys ${action} does not take --${option}`)
    if (action === 'list') return list(url, io)
    if (id === undefined) throw new UsageError('keys revoke needs the ID of a key')
    return revoke(id, url, io)
  },
}

interface KeyOptions {
  url?: string | undefined
  name?: string | undefined
  scope?: string | undefined
  expires?: string | undefined
  webhook?: string[] | undefined
  topic?: string[] | undefined
}

/** Prints only the key on stdout, so that a script can read it; the details go to stderr. */
async function create(options: KeyOptions, { env, print, note }: CommandIo): Promise<ExitCode> {
  const { url, name, scope, expires, webhook: webhooks, topic: topics } = options
  if (name === undefined || scope === undefined) throw new UsageError('keys create needs --name and --scope')
  if (!SCOPES.some((known) => known === scope)) throw new UsageError(`--scope must be ${SCOPES.join(', ')}`)
  const expiresAt = expires === undefined ? null : expiryOf(expires, new Date())
  const client = await openClient({ url, env })
  const body = { name, scope, expires_at: expiresAt, webhooks, topics }
  const made = await client.request<ApiKey & { key: string }>('POST', '/v1/keys', body)
  print(made.key)
  note(
    `${made.id}, scope ${made.scope}, ${made.expires_at ? `until ${made.expires_at}` : 'until it is revoked'}; shown this once`,
  )
  return 0
}

async function list(url: string | undefined, { env, print }: CommandIo): Promise<ExitCode> {
  const client = await openClient({ url, env })
  const lines = [['id', 'scope', 'state', 'created', 'expires', 'last used', 'name']]
  for await (const key of client.list<ApiKey>('/v1/keys')) {
    const [created, expires, used] = [key.created_at, key.expires_at, key.last_used_at].map(minuteOf)
    lines.push([key.id, key.scope, stateOf(key, new Date()), created!, expires!, used!, printable(key.name)])
  }
  const widths = lines[0]!.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)))
  for (const line of lines) {
    print(
      line
        .map((text, column) => text.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
  }
  return 0
}

async function revoke(id: string, url: string | undefined, { env, note }: CommandIo): Promise<ExitCode> {
  const client = await openClient({ url, env })
  await client.request('DELETE', `/v1/keys/${encodeURIComponent(id)}`)
  note(`${printable(id)} is revoked`)
  return 0
}

function expiryOf(duration: string, now: Date): string {
  const ms = durationMs(duration)
  if (ms === undefined) throw new UsageError('--expires must be a duration such as 12h or 90d')
  return new Date(now.getTime() + ms).toISOString()
}

function stateOf({ expires_at: expiresAt, revoked_at: revokedAt }: ApiKey, now: Date): string {
  if (revokedAt !== null) return 'revoked'
  return expiresAt !== null && new Date(expiresAt) <= now ? 'expired' : 'live'
}

function minuteOf(time: string | null): string {
  return time === null ? '-' : `${time.slice(0, 16)}Z`
}
