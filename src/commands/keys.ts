/** `alert-relay keys`: makes, lists and revokes API keys of a running relay. */
import { parseArgs } from 'node:util'
import { SCOPES, type ApiKey } from '../core/access/api-key.js'
import { durationMs } from '../core/platform/duration.js'
import { CLIENT_OPTIONS, CommandError, openClient, printable, type CommandIo } from './client.js'

export const KEYS_USAGE = `
  alert-relay keys create --name NAME --scope ${SCOPES.join('|')} [--expires 90d] [--url URL]
  alert-relay keys list [--url URL]
  alert-relay keys revoke ID [--url URL]

  They speak to the relay at --url, by default the one here, with the key in RELAY_API_KEY, else API_KEYS, else DATA_DIR.
`

/** @throws CommandError, SettingError, or what parseArgs throws: each one line for the person */
export async function runKeys(args: string[], io: CommandIo): Promise<void> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      ...CLIENT_OPTIONS,
      name: { type: 'string' },
      scope: { type: 'string' },
      expires: { type: 'string' },
      help: { type: 'boolean', short: 'h' },
    },
  })
  const [action, id, ...rest] = positionals
  if (values.help || rest.length > 0) return io.print(KEYS_USAGE)
  if (action === 'create' && id === undefined) return create(values, io)
  if (action === 'list' && id === undefined) return list(values, io)
  if (action === 'revoke' && id !== undefined) return revoke(id, values, io)
  io.print(KEYS_USAGE)
}

interface KeyOptions {
  url?: string | undefined
  name?: string | undefined
  scope?: string | undefined
  expires?: string | undefined
}

/** The key is the one line of the result, so that a script can take it; what a person needs to know is told beside. */
async function create({ url, name, scope, expires }: KeyOptions, { env, print, tell }: CommandIo): Promise<void> {
  if (name === undefined || scope === undefined) throw new CommandError('keys create needs --name and --scope')
  const client = await openClient({ url, env })
  const body = { name, scope, expires_at: expires === undefined ? null : expiryOf(expires, new Date()) }
  const made = await client.request<ApiKey & { key: string }>('POST', '/v1/keys', body)
  print(made.key)
  tell(
    `${made.id}, scope ${made.scope}, ${made.expires_at ? `until ${made.expires_at}` : 'until it is revoked'}; shown this once`,
  )
}

async function list({ url }: KeyOptions, { env, print }: CommandIo): Promise<void> {
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
}

async function revoke(id: string, { url }: KeyOptions, { env, tell }: CommandIo): Promise<void> {
  const client = await openClient({ url, env })
  await client.request('DELETE', `/v1/keys/${encodeURIComponent(id)}`)
  tell(`${printable(id)} is revoked`)
}

function expiryOf(duration: string, now: Date): string {
  const ms = durationMs(duration)
  if (ms === undefined) throw new CommandError('--expires must be a duration such as 12h or 90d')
  return new Date(now.getTime() + ms).toISOString()
}

function stateOf({ expires_at: expiresAt, revoked_at: revokedAt }: ApiKey, now: Date): string {
  if (revokedAt !== null) return 'revoked'
  return expiresAt !== null && new Date(expiresAt) <= now ? 'expired' : 'live'
}

function minuteOf(time: string | null): string {
  return time === null ? '-' : `${time.slice(0, 16)}Z`
}
