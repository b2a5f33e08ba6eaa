/**
 * The HTTP client that commands use for a relay's API. Commands do not open the embedded database, since one process at a
 * time can have it open.
 *
 * Guarantee: a refusal becomes an error of one line. The API key is sent to the relay only and is in no message. A relay that cannot
 * take a request now (503) is asked again, and has its effect once.
 */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { loadConfig } from '../core/platform/config.js'
import { messageOf } from '../core/platform/errors.js'
import { CommandError, printable, UsageError, type CommandIo } from './command.js'

export interface Client {
  /**
   * @returns the JSON of the response; undefined when it has no body
   * @throws CommandError with the detail of the problem document
   */
  request<Answer>(method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE', path: string, body?: object): Promise<Answer>
  /** Iterates over every entry of a list, page by page. */
  list<Entry>(path: string): AsyncGenerator<Entry>
}

/** The options, for `parseArgs`, of every command that sends requests to a relay. */
export const CLIENT_OPTIONS = { url: { type: 'string' } } as const

/** Of a request with its repetitions. */
const TIMEOUT_MS = 30_000
/** Between two of them where the relay does not say how long, and at least. */
const WAIT_MS = 1000
const LEAST_WAIT_MS = 100
const PAGE_SIZE = 200

/**
 * Opens a client of the relay at `url`, by default the local one.
 *
 * The API key is RELAY_API_KEY, else the first of API_KEYS, else the file that the relay's first start wrote in DATA_DIR.
 * @throws UsageError when `url` is not an http URL; CommandError when there is no key; SettingError
 */
export async function openClient({ url, env }: { url: string | undefined; env: CommandIo['env'] }): Promise<Client> {
  const { port, apiKeys, dataDir } = loadConfig(env)
  const key = env.RELAY_API_KEY?.trim() || apiKeys[0] || (await readFirstKey(dataDir))
  // the error of fetch would contain a key that is no valid header value
  if (!/^[\x21-\x7e]+$/.test(key)) throw new CommandError('the key must be printable ASCII, without spaces')
  return createClient({ url: url ?? `http://127.0.0.1:${port}`, key })
}

/** The relay refused a request. */
export class RefusedRequest extends CommandError {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message)
  }
}

export function createClient({ url, key }: { url: string; key: string }): Client {
  const origin = originOf(url)

  async function request<Answer>(method: string, path: string, body?: object): Promise<Answer> {
    const headers = {
      authorization: `Bearer ${key}`,
      ...(method === 'POST' ? { 'idempotency-key': randomUUID() } : {}),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    }
    const sent = { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(TIMEOUT_MS) }
    // redirects are not followed: the key must not reach another host
    const { ok, status, text } = await exchange(`${origin}${path}`, { ...sent, redirect: 'manual' }).catch(
      (error: unknown) => {
        const { cause = error } = error as Error
        throw new CommandError(`no relay answers at ${origin}: ${messageOf(cause)}`, { cause: error })
      },
    )
    if (!ok) throw new RefusedRequest(problemOf(text) ?? `${origin} answered ${status}`, status)
    return (text === '' ? undefined : answerOf(text, origin)) as Answer
  }

  return {
    request,
    async *list<Entry>(path: string) {
      let cursor: string | null = null
      do {
        const separator = path.includes('?') ? '&' : '?'
        const from: string = cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`
        const page: { data: Entry[]; next_cursor: string | null } = await request(
          'GET',
          `${path}${separator}limit=${PAGE_SIZE}${from}`,
        )
        yield* page.data
        cursor = page.next_cursor
      } while (cursor !== null)
    },
  }
}

function originOf(url: string): string {
  const { protocol, origin } = URL.canParse(url) ? new URL(url) : { protocol: '', origin: '' }
  if (protocol === 'http:' || protocol === 'https:') return origin
  throw new UsageError('--url must be where a relay listens, such as http://127.0.0.1:8080')
}

async function readFirstKey(dataDir: string): Promise<string> {
  try {
    return (await readFile(join(dataDir, 'api-key'), 'utf8')).trim()
  } catch (error) {
    throw new CommandError(`no key: set RELAY_API_KEY (${join(dataDir, 'api-key')} cannot be read)`, { cause: error })
  }
}

/** Sends a request, and again while the answer is 503, as long as its time allows. */
async function exchange(url: string, request: RequestInit) {
  const untilMs = performance.now() + TIMEOUT_MS
  for (;;) {
    const answer = await fetch(url, request)
    const { ok, status, headers } = answer
    const text = await answer.text()
    const waitMs = Math.max(LEAST_WAIT_MS, Number(headers.get('retry-after') ?? NaN) * 1000 || WAIT_MS)
    if (status !== 503 || performance.now() + waitMs > untilMs) return { ok, status, text }
    await pause(waitMs)
  }
}

/** The message of a problem document (RFC 9457). */
function problemOf(text: string): string | undefined {
  try {
    const { detail } = JSON.parse(text) as { detail?: unknown }
    return typeof detail === 'string' ? printable(detail) : undefined
  } catch {
    return undefined
  }
}

function answerOf(text: string, origin: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new CommandError(`${origin} does not answer as a relay does`, { cause: error })
  }
}
