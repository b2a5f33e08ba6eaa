/**
 * One run: everything is started, messages flow while faults are injected, then the faults end and waiting deliveries are
 * given time to drain.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createSnsPublisher } from '../test/helpers/sns-publisher.js'
import { createDisturbances, type Disturbances } from './disturbances.js'
import { startFaults, type FaultInjector } from './faults.js'
import { startFlow, type Flow, type FlowCounts } from './flow.js'
import type { Report } from './protocol.js'
import { ON_TIME_MS } from './lateness.js'
import { createRandom } from './random.js'
import { startReceivers, type Receivers } from './receivers-process.js'
import { createRelayApi, type RegisteredWebhook, type RelayApi } from './relay-api.js'
import { createRelayProcess, type RelayProcess } from './relay-process.js'
import { print } from './report.js'
import { startPostgresPair, startRedisPair } from './server-pairs.js'
import { WEBHOOKS, type WebhookOptions } from './webhooks.js'

export interface RunResult {
  flow: FlowCounts
  /** The messages that every webhook is to get, and how many of them are alert changes. */
  accepted: number
  changes: number
  webhooks: WebhookResult[]
  processes: RelayProcess[]
  faults: Pick<FaultInjector, 'kinds' | 'counts' | 'failures'>
  undispatched: number
  /** The time until everything was received and nothing was pending; undefined when it took too long. */
  drainMs: number | undefined
}

export interface WebhookResult {
  name: string
  healthy: boolean
  options: WebhookOptions
  supported: WebhookOptions
  report: Report
  pending: number
  dead: number
  dropped: number
}

interface Scope {
  teardown(close: () => unknown): void
}

interface ScenarioOptions {
  scope: Scope
  seconds: number
  seed: number
  ratePerSecond: number
  keep: boolean
}

const CLI = join(import.meta.dirname, '../src/cli.js')
/** The time to drain; more for a longer run, which leaves more waiting deliveries. */
const DRAIN_TIMEOUT_S = 150
const DRAIN_TIMEOUT_PER_S = 0.5
const POLL_MS = 500
const MAX_OVERTIME_S = 120

export async function runScenario({ scope, seconds, seed, ratePerSecond, keep }: ScenarioOptions): Promise<RunResult> {
  const dir = await mkdtemp(join(tmpdir(), 'alert-relay-chaos-'))
  scope.teardown(() => (keep ? print(`logs: ${dir}`) : rm(dir, { recursive: true, force: true })))
  const publisher = await createSnsPublisher()
  await publisher.serve()
  scope.teardown(() => publisher.close())
  const [postgres, redis] = [await startPostgresPair(scope), await startRedisPair(scope)]
  const disturbances = createDisturbances()
  const key = randomBytes(16).toString('hex')
  const settings = {
    DATABASE_URL: postgres.url,
    REDIS_URL: redis.url,
    API_KEYS: key,
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    SNS_TOPICS: publisher.topicArn,
    SNS_EMULATOR: publisher.origin,
    ALLOW_PRIVATE_TARGETS: '127.0.0.0/8',
  }
  const { apis, workers } = await startRelays({ scope, dir, settings, disturbances })
  const urls = () => apis.map(({ url }) => url)
  const api = createRelayApi(urls, key)
  const receivers = await startReceivers(scope, seed)
  const webhooks = await register(api, receivers)

  if (!postgres.disk) print('a small disk cannot be mounted here: no disk is filled')
  const flow = startFlow({ publisher, urls, random: createRandom(seed, 'flow'), ratePerSecond })
  const startedMs = Date.now()
  const log = (line: string) => print(`${((Date.now() - startedMs) / 1000).toFixed(1).padStart(7)} s  ${line}`)
  const faults = startFaults({ apis, workers, postgres, redis, disturbances }, createRandom(seed, 'faults'), log)
  await pause(seconds * 1000)
  // a short run goes on until every kind was injected
  const lastMs = startedMs + (2 * seconds + MAX_OVERTIME_S) * 1000
  while (faults.counts.size < faults.kinds && Date.now() < lastMs) await pause(POLL_MS)
  await faults.stop()
  flow.stop()
  await receivers.send({ do: 'recover' })
  log('all faults are over')
  const timeoutMs = (DRAIN_TIMEOUT_S + seconds * DRAIN_TIMEOUT_PER_S) * 1000
  const drainMs = await drain({ flow, faults, api, receivers, webhooks, timeoutMs })
  log(drainMs === undefined ? 'not drained in time' : 'drained')

  const result = {
    ...(await collect(api, receivers, webhooks)),
    flow: flow.counts,
    accepted: flow.accepted.length,
    changes: flow.accepted.filter(({ value }) => value !== null).length,
    processes: [...apis, ...workers],
    faults,
    drainMs,
  }
  await explain(api, webhooks, result.webhooks)
  await Promise.all(result.processes.map((relay) => relay.stop()))
  return result
}

type Registry = Map<string, RegisteredWebhook>

interface RelayOptions {
  scope: Scope
  dir: string
  settings: Record<string, string>
  disturbances: Disturbances
}

async function startRelays({ scope, dir, settings, disturbances }: RelayOptions) {
  const make = async (role: RelayProcess['role'], number: number) => {
    const name = `${role}-${number}`
    const home = join(dir, name)
    await mkdir(home)
    const relay = createRelayProcess({
      name,
      role,
      cli: CLI,
      dir: home,
      settings: { DATA_DIR: home, ...settings },
      disturbances,
    })
    scope.teardown(() => relay.end())
    return relay
  }
  // one dispatches what it accepts, the other adds jobs
  const apis = [await make('all', 1), await make('api', 2)]
  const workers = [await make('worker', 1), await make('worker', 2)]
  const all = [...apis, ...workers]
  await Promise.all(all.map((relay) => relay.start()))
  const timer = setInterval(() => void Promise.all(all.map((relay) => relay.measure())), 1000)
  scope.teardown(() => clearInterval(timer))
  return { apis, workers }
}

async function register(api: RelayApi, receivers: Receivers): Promise<Registry> {
  const webhooks: Registry = new Map()
  for (const spec of WEBHOOKS) webhooks.set(spec.name, await api.register(spec, receivers.urls[spec.name]!))
  const secrets = Object.fromEntries([...webhooks].map(([name, { secret }]) => [name, secret]))
  await receivers.send({ do: 'secrets', secrets })
  return webhooks
}

interface DrainOptions {
  flow: Flow
  faults: FaultInjector
  api: RelayApi
  receivers: Receivers
  webhooks: Registry
  timeoutMs: number
}

/** The time until everything is received and the API lists nothing pending; undefined when it takes too long. */
async function drain({ flow, faults, api, receivers, webhooks, timeoutMs }: DrainOptions): Promise<number | undefined> {
  const startedMs = Date.now()
  const isLate = () => Date.now() - startedMs > timeoutMs
  await Promise.race([flow.done, pause(timeoutMs, undefined, { ref: false })])
  await receivers.send({ do: 'expect', events: [...flow.accepted], faults: faults.intervals() })
  // a disabled webhook gets no new events, so every event must be dispatched before
  while ((await api.countUndispatched()) > 0 && !isLate()) await pause(POLL_MS)
  // on time is on time without help
  for (const { name, healthy } of WEBHOOKS) if (!healthy) await api.reenable(webhooks.get(name)!.id)
  while (!isLate()) {
    const reports = Object.values(await receivers.send({ do: 'report' }))
    if (reports.every(({ missing }) => missing === 0) && (await countPending(api, webhooks)) === 0) {
      return Date.now() - startedMs
    }
    await pause(POLL_MS)
  }
  return undefined
}

async function countPending(api: RelayApi, webhooks: Registry): Promise<number> {
  let count = 0
  for (const { id } of webhooks.values()) count += await api.countDeliveries(id, 'pending')
  return count
}

async function collect(api: RelayApi, receivers: Receivers, webhooks: Registry) {
  const reports = await receivers.send({ do: 'report' })
  const results: WebhookResult[] = []
  for (const { name, healthy, options } of WEBHOOKS) {
    const { id, supported } = webhooks.get(name)!
    const [pending, dead, dropped] = await Promise.all(
      ['pending', 'dead', 'dropped'].map((status) => api.countDeliveries(id, status)),
    )
    const counts = { pending: pending!, dead: dead!, dropped: dropped! }
    results.push({ name, healthy, options, supported, report: reports[name]!, ...counts })
  }
  return { webhooks: results, undispatched: await api.countUndispatched() }
}

/** Prints what the API knows of events that are missing, or the latest where they must be on time. */
async function explain(api: RelayApi, webhooks: Registry, results: readonly WebhookResult[]): Promise<void> {
  for (const { name, healthy, report } of results) {
    const late = healthy && report.latestMs > ON_TIME_MS ? [report.latestId!] : []
    for (const eventId of [...report.missingIds, ...late]) {
      print(`\nmissing or late at ${name}: ${eventId}`)
      for (const line of await api.explain(eventId, webhooks.get(name)!.id)) print(`  ${line}`)
    }
  }
}
