/** The API without workers, in one or more instances on a database of the test, with their log. */
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import { pino } from 'pino'
import type { Test } from 'tap'
import { createAccess } from '../../src/core/access/access.js'
import { createPenalties } from '../../src/core/access/penalties.js'
import type { AuditEntry } from '../../src/core/access/audit.js'
import type { ApiKey, ApiKeyCreate } from '../../src/core/access/api-key.js'
import type { Database } from '../../src/core/platform/database.js'
import { createBodyBudget } from '../../src/core/platform/body-budget.js'
import { createKeyCheck, createKeyFingerprint, createSealer } from '../../src/core/platform/secrets.js'
import { createSubscriptions } from '../../src/core/sns/subscriptions.js'
import { createOwnSources } from '../../src/core/source/own-sources.js'
import { DEFAULT_SOURCES } from '../../src/core/source/settings.js'
import { createRegistry } from '../../src/core/webhook/registry.js'
import { createHttp, type HttpOptions } from '../../src/http.js'
import { createGuard } from '../../src/routes/guard.js'
import { borrowTestDatabase } from './backends.js'
import { injectUntilAccepted } from './inject.js'

export const FULL_KEY = 'a-key-with-full-rights'

export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
/** Sends a request to one instance of the API. */
export type Call = (
  key: string | undefined,
  method: Method,
  url: string,
  payload?: object,
  headers?: Record<string, string>,
) => Promise<LightMyRequestResponse>

export interface TestApi {
  database: Database
  /** The log lines of all instances. */
  lines: string[]
  /** Opens another instance, like another process. @param through wraps its database */
  startInstance(through?: (database: Database) => Database): Promise<Call>
  call: Call
  /** The HTTP server of the first instance, for tests that need a socket. */
  http: FastifyInstance
  /** Sends a request to the first instance. @param options.once it may be told to wait */
  inject(request: InjectOptions, options?: { once: boolean }): Promise<LightMyRequestResponse>
  makeKey(fields: Partial<ApiKeyCreate> & Pick<ApiKeyCreate, 'scope'>): Promise<ApiKey & { key: string }>
  /** The entries of the audit log, newest first. */
  entries(query?: string): Promise<AuditEntry[]>
}

export async function openTestApi(t: Test, now: () => Date = () => new Date()): Promise<TestApi> {
  const shared = await borrowTestDatabase(t)
  const lines: string[] = []
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(line) })

  async function start(through: (database: Database) => Database): Promise<FastifyInstance> {
    const database = through(shared)
    const sealer = createSealer(Buffer.alloc(32, 7))
    const fingerprintOf = createKeyFingerprint(Buffer.alloc(32, 7))
    const access = createAccess({
      ...{ database, hasFullRights: createKeyCheck([FULL_KEY]), fullRightsActor: 'API_KEYS', fingerprintOf, now },
    })
    const metrics = { countRefusedKey: () => {} }
    const ownSources = createOwnSources({ database })
    t.teardown(() => ownSources.close())
    const parts: Partial<HttpOptions> = {
      ...{
        database,
        sealer,
        log,
        bodies: createBodyBudget(1e9),
        trustProxy: [],
        hasIntake: false,
        metricsPublic: false,
        snsPublishTopics: ['arn:aws:sns:us-east-1:*:out'],
      },
      access,
      guard: createGuard({ access, penalties: createPenalties(fingerprintOf), database, metrics }),
      registry: createRegistry({ database, sealer }),
      ownSources,
      sources: DEFAULT_SOURCES,
      queues: {
        ...{ addWakes: async () => {}, addDispatches: async () => {} },
        ping: () => Promise.reject(new Error('connect ECONNREFUSED 10.1.2.3:6379')),
      } as unknown as HttpOptions['queues'],
      subscriptions: createSubscriptions({
        ...{ database, allowedTopics: [], emulatorOrigin: undefined },
        fetch: async () => ({ status: 200, body: '' }),
        log,
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
      return injectUntilAccepted(http, { method, url, payload, headers: { ...authorization, ...headers } })
    }
  }

  const http = await start((same) => same)
  const call = callTo(http)
  return {
    ...{ database: shared, lines, http, call },
    inject: (request, { once } = { once: false }) => (once ? http.inject(request) : injectUntilAccepted(http, request)),
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
