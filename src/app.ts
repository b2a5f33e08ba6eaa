/**
 * Composes the application from the configuration: database, queues, routes and workers.
 *
 * Guarantee: it never listens and touches no process state. It closes whatever it opened, in reverse order, also when
 * opening fails half-way: first it stops taking requests and jobs, then finishes those that run, then closes their
 * resources.
 */
import { randomUUID } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import { createAccess } from './core/access/access.js'
import { createPenalties } from './core/access/penalties.js'
import { UNREAD_REASONS } from './core/alert/change.js'
import { createAttempt } from './core/delivery/attempt.js'
import { createRecorder } from './core/delivery/attempt-recorder.js'
import { readBacklog } from './core/delivery/backlog.js'
import { createAuthorizer } from './core/delivery/authorization.js'
import { createRecall } from './core/delivery/content.js'
import { createDeliver } from './core/delivery/deliver.js'
import { createLimiter } from './core/delivery/limiter.js'
import { createDeliveryQueues } from './core/delivery/delivery-queues.js'
import { createAccept } from './core/event/accept.js'
import { createAcceptActivity } from './core/event/accept-activity.js'
import { createAcceptNamed } from './core/event/accept-named.js'
import { createClaims, type Claims } from './core/event/claims.js'
import { createAcceptMatches } from './core/event/accept-matches.js'
import { createBodyBudget } from './core/platform/body-budget.js'
import type { Config } from './core/platform/config.js'
import { openDatabase, type Database } from './core/platform/database.js'
import { SettingError } from './core/platform/errors.js'
import { fetchText } from './core/platform/fetch-text.js'
import { createHttpClient } from './core/platform/http-client.js'
import { createMetrics } from './core/platform/metrics.js'
import { openQueues, type Queues } from './core/platform/queues.js'
import {
  createKeyCheck,
  createKeyFingerprint,
  createSealer,
  fingerprint,
  loadApiKeys,
  loadEncryptionKey,
  type KeyFile,
} from './core/platform/secrets.js'
import { createSnsClient } from './core/platform/sns-client.js'
import { createCertificateCache } from './core/sns/certificate-cache.js'
import { keepCertificate, listCertificates } from './core/sns/certificate-store.js'
import { createOwnSources } from './core/source/own-sources.js'
import { sourceSettings } from './core/source/settings.js'
import { createSubscriptions } from './core/sns/subscriptions.js'
import { createVerifier } from './core/sns/verify.js'
import { createCircuitTransitions } from './core/circuit/transitions.js'
import { createRegistry } from './core/webhook/registry.js'
import { createRenderer } from './core/format/render.js'
import { createHttp, createIntake, createWorkerHttp } from './http.js'
import { createGuard } from './routes/guard.js'
import { createDispatcher, type DispatchOptions } from './workers/dispatch.js'
import { startUpkeep, type Upkeep, type UpkeepOptions } from './workers/upkeep.js'

export interface App {
  http: FastifyInstance
  /** The server of /sns; undefined where `http` has it. */
  intake: FastifyInstance | undefined
  /** The file with the API key that has full rights, to be told at each start; undefined: API_KEYS are used. */
  keyFile: KeyFile | undefined
  /** Starts the workers, unless the role is `api`. */
  startWorkers(): void
  /** The upkeep of this process; undefined before the workers are started. */
  upkeep(): Upkeep | undefined
  close(): Promise<void>
}

/** Bytes of request bodies that the process holds at once: some 120 of the largest messages of SNS. */
const MAX_BODY_BYTES = 32 * 1024 * 1024
/** Batches that one process takes from the queue at once; the dispatcher bounds how many of them it works on. */
const DISPATCH_CONCURRENCY = 64
/** A wake-up only signals the delivery queue's worker, so few at once are enough. */
const WAKE_CONCURRENCY = 16

/** Bounds on the answer of a SubscribeURL, a short XML document. */
const CONFIRM_LIMITS = { timeoutMs: 5000, maxBytes: 64 * 1024 }

type Closer = () => Promise<void>

/** @throws SettingError when a setting is wrong or the service that it names cannot be reached */
export async function createApp(config: Config, log: Logger): Promise<App> {
  const closers: Closer[] = []
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    return await compose(config, log, closers, close)
  } catch (error) {
    await close()
    throw error
  }
}

async function compose(config: Config, log: Logger, closers: Closer[], close: Closer): Promise<App> {
  const { databaseUrl, dataDir, redisUrls, role, snsEmulator: emulatorOrigin } = config
  const sources = sourceSettings(config)
  const database = await openDatabase({ databaseUrl, dataDir })
  closers.push(() => database.close())
  const encryptionKey = await loadEncryptionKey(config)
  await checkEncryptionKey(database, encryptionKey)
  const sealer = createSealer(encryptionKey)
  const { keys, file: keyFile } = await loadApiKeys(config)
  const fullRightsActor = config.apiKeys.length > 0 ? 'API_KEYS' : 'first key'

  const onError = (error: unknown) => log.warn({ err: error }, 'queue error')
  const queues = await openQueues({ database, redisUrls, onError })
  closers.push(() => queues.close())
  const client = createHttpClient(config)
  closers.push(() => client.close())
  const sns = createSnsClient()
  closers.push(async () => sns.close())
  const metrics = createMetrics(() => readBacklog(database, queues, new Date()))
  for (const reason of UNREAD_REASONS) metrics.countUnread(reason, 0) // so that increase() sees the first one
  const renderer = createRenderer()
  closers.push(async () => renderer.close())
  const deliver = createDeliver({
    sendAttempt: createAttempt({ http: client, sns }),
    renderer,
    authorizer: createAuthorizer({ http: client }),
    metrics,
  })

  if (emulatorOrigin) log.warn({ origin: emulatorOrigin }, 'SNS_EMULATOR is trusted: not for production')
  const subscriptions = createSubscriptions({
    database,
    allowedTopics: config.snsTopics,
    emulatorOrigin,
    fetch: (url) => fetchText(url, CONFIRM_LIMITS),
    log,
  })
  closers.push(() => subscriptions.close())
  const certificates = createCertificateCache({
    emulatorOrigin,
    stored: await listCertificates(database, new Date()),
    keep: (certificate) => {
      keepCertificate(database, certificate, new Date()).catch((error: unknown) =>
        log.warn({ err: error }, 'a signing certificate is not kept: it is fetched again after a restart'),
      )
    },
    onFetch: metrics.countCertificateFetch,
  })
  const { snsMaxAgeS: maxAgeS, snsSignatureVersions: signatureVersions } = config
  const verifier = createVerifier({ certificates, maxAgeS, emulatorOrigin, signatureVersions })
  const registry = createRegistry({ database, sealer })
  const { countEvent } = metrics
  const ownSources = createOwnSources({ database })
  closers.push(async () => ownSources.close())
  if (role !== 'worker') {
    await ownSources.refresh()
    ownSources.watch(log)
  }
  const claims = role === 'all' ? createClaims({ database, queues, log }) : undefined
  const accepting = { database, queues, claims, audience: registry, countEvent }
  const acceptMatches = createAcceptMatches(accepting)
  const accept = createAcceptActivity({
    ...{ database, acceptMatches, sources, log },
    accept: createAccept({ ...accepting, sources, ownSources }),
  })
  const acceptNamed = createAcceptNamed({ accept, database, sources })
  const fingerprintOf = createKeyFingerprint(encryptionKey)
  const access = createAccess({ database, hasFullRights: createKeyCheck(keys), fullRightsActor, fingerprintOf })
  const guard = createGuard({ access, penalties: createPenalties(fingerprintOf), database, metrics })
  const parts = {
    ...{ database, queues, sealer, registry, deliver, renderer, metrics, log, countEvent },
    ...{ subscriptions, verifier, accept, acceptNamed, acceptMatches, access, guard, sources, ownSources },
    ...{ bodies: createBodyBudget(MAX_BODY_BYTES), trustProxy: config.trustProxy, metricsPublic: config.metricsPublic },
  }
  const hasIntake = config.intake !== undefined && role !== 'worker'
  const http = await (role === 'worker' ? createWorkerHttp(parts) : createHttp({ ...parts, hasIntake }))
  const intake = hasIntake ? await createIntake({ ...parts, access: undefined }) : undefined

  let upkeep: Upkeep | undefined
  const startWorkers = () => {
    if (role === 'api') return
    upkeep = startWork({ ...parts, ...config, claims, closers })
  }
  return {
    http,
    intake,
    keyFile,
    startWorkers,
    upkeep: () => upkeep,
    async close() {
      claims?.stop()
      await Promise.all([http.close(), intake?.close()])
      await close()
    },
  }
}

type WorkOptions = Omit<DispatchOptions, 'limiter' | 'circuit' | 'deliveryQueues' | 'record'> &
  UpkeepOptions & { queues: Queues; claims: Claims | undefined; disableAfterMs: number; closers: Closer[] }

function startWork(options: WorkOptions): Upkeep {
  const { database, queues, claims, disableAfterMs, log, countEvent, closers } = options
  const circuit = createCircuitTransitions({ database, disableAfterMs, log, countEvent })
  const limiter = createLimiter()
  const holder = randomUUID()
  const parts = { ...options, circuit, limiter, record: createRecorder(database) }
  const deliveryQueues = createDeliveryQueues({ ...parts, recall: createRecall(database), holder })
  const dispatcher = createDispatcher({ ...parts, deliveryQueues })
  const workers = [
    queues.startDispatch(dispatcher.dispatch, DISPATCH_CONCURRENCY),
    queues.startWake(async ({ webhookId }) => deliveryQueues.wake(webhookId), WAKE_CONCURRENCY),
  ]
  claims?.start(dispatcher)
  const upkeep = startUpkeep(options)
  closers.push(async () => {
    await upkeep.close()
    await Promise.all([...workers.map((worker) => worker.close()), claims?.close()])
    await Promise.all([dispatcher.close(), deliveryQueues.close()])
  })
  return upkeep
}

/** Refuses to start with another encryption key than the one that sealed the stored secrets: every attempt would fail. */
async function checkEncryptionKey(database: Database, key: Buffer): Promise<void> {
  const own = fingerprint(key)
  await database.query(
    `insert into settings (name, value) values ('encryption_key', $1) on conflict (name) do nothing`,
    [own],
  )
  const { rows } = await database.query<{ value: string }>(`select value from settings where name = 'encryption_key'`)
  if (rows[0]?.value === own) return
  throw new SettingError(
    'ENCRYPTION_KEY is not the key that sealed the secrets in this database: set it to the same value in every process',
  )
}
