/** The API alone, over a database that the test holds in its hand: as many instances as it likes, and a log to look at. */
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import type { Test } from 'tap'
import { createAccess } from '../../src/core/access/access.js'
import type { AuditEntry } from '../../src/core/access/audit.js'
import type { ApiKey, ApiKeyCreate } from '../../src/core/access/api-key.js'
import type { Database } from '../../src/core/platform/database.js'
import { createKeyCheck, createSealer } from '../../src/core/platform/secrets.js'
import { createSubscriptions } from '../../src/core/sns/subscriptions.js'
import { createRegistry } from '../../src/core/webhook/registry.js'
import { createHttp, type HttpOptions } from '../../src/http.js'
import { borrowTestDatabase } from './backends.js'
import { until } from './until.js'

export const FULL_KEY = 'a-key-with-full-rights'

export type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE'
/** A request to one instance of the API. */
export type Call = (
  key: string | undefined,
  method: Method,
  url: string,
  payload?: object,
  headers?: Record<string, string>,
) => Promise<LightMyRequestResponse>

export interface TestApi {
  database: Database
  /** Every line of the log, of every instance. */
  lines: string[]
  /** Another process, as it were. @param through what it makes of the database */
  startInstance(through?: (database: Database) => Database): Promise<Call>
  call: Call
  /** The first instance itself, for what needs a socket. */
  http: FastifyInstance
  /** Asks the first instance. */
  inject(request: InjectOptions): Promise<LightMyRequestResponse>
  makeKey(fields: Partial<ApiKeyCreate> & Pick<ApiKeyCreate, 'scope'>): Promise<ApiKey & { key: string }>
  /** The audit log's entries, the newest first. */
  entries(query?: string): Promise<AuditEntry[]>
}

export async function openTestApi(t: Test, now: () => Date = () => new Date()): Promise<TestApi> {
  const shared = await borrowTestDatabase(t)
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })

  async function start(through: (database: Database) => Database): Promise<FastifyInstance> {
    const database = through(shared)
    const sealer = createSealer(Buffer.alloc(32, 7))
    const hasFullRights = createKeyCheck([FULL_KEY])
    const parts: Partial<HttpOptions> = {
      ...{ database, sealer, log },
      access: createAccess({ database, hasFullRights, fullRightsActor: 'API_KEYS', now }),
      registry: createRegistry({ database, sealer }),
      queues: { addWakes: async () => {}, addDispatches: async () => {} } as unknown as HttpOptions['queues'],
      subscriptions: createSubscriptions({
        ...{ database, allowedTopics: [], emulatorOrigin: undefined },
        fetch: async () => ({ status: 200, body: '' }),
      }),
    }
    const http = await createHttp(parts as HttpOptions)
    t.teardown(() => http.close())
    await http.ready()
    return http
  }

  function callTo(http: FastifyInstance): Call {
    return (key, method, url, payload, headers = {}) => {
      const authorization: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` }
      return askUntilAnswered(http, { method, url, payload, headers: { ...authorization, ...headers } })
    }
  }

  const http = await start((same) => same)
  const call = callTo(http)
  return {
    ...{ database: shared, lines, http, call },
    inject: (request) => askUntilAnswered(http, request),
    startInstance: async (through = (same) => same) => callTo(await start(through)),
    async makeKey(fields) {
      const answer = await call(FULL_KEY, 'POST', '/v1/keys', { name: 'a key of the tests', ...fields })
      t.equal(answer.statusCode, 201, answer.body)
      return answer.json()
    },
    async entries(query = '') {
      const answer = await call(FULL_KEY, 'GET', `/v1/audit?${query}`)
      t.equal(answer.statusCode, 200, answer.body)
      return answer.json<{ data: AuditEntry[] }>().data
    },
  }
}

/** On a busy machine the process that tests may lag for seconds: it says 503 then, and when to come again. */
function askUntilAnswered(http: FastifyInstance, request: InjectOptions): Promise<LightMyRequestResponse> {
  return until(
    () => http.inject(request),
    ({ headers }) => headers['retry-after'] === undefined,
  )
}
