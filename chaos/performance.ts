/**
 * One run from the first process to the last fact: everything is started, the flow and the sabotage go on for a time, then
 * everything is made well and gets its time to drain.
 */
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { createSnsPublisher } from '../test/helpers/sns-publisher.js'
import { startPostgres, startRedis } from '../test/helpers/servers.js'
import { CAST, type Demands } from './cast.js'
import { startFlow, type Flow, type FlowCounts } from './flow.js'
import type { Report } from './orders.js'
import { createRandom } from './random.js'
import { startReceivers, type Receivers } from './receivers-process.js'
import { createRelayApi, type RegisteredWebhook, type RelayApi } from './relay-api.js'
import { createRelayProcess, type RelayProcess } from './relay-process.js'
import { print } from './report.js'
import { ACTION_KINDS, startSaboteur, type Saboteur } from './saboteur.js'
import { createUnrest, type Unrest } from './unrest.js'

export interface Facts {
  flow: FlowCounts
  /** How many messages every webhook was to get, of them alert changes. */
  accepted: number
  changes: number
  webhooks: WebhookFacts[]
  processes: RelayProcess[]
  sabotage: Pick<Saboteur, 'counts' | 'failures'>
  undispatched: number
  /** Until all was received and nothing was pending; undefined: never. */
  drainMs: number | undefined
}

export interface WebhookFacts {
  name: string
  demands: Demands
  understood: Demands
  report: Report
  pending: number
  dead: number
  dropped: number
}

interface Scope {
  teardown(close: () => unknown): void
}

interface PerformOptions {
  scope: Scope
  seconds: number
  seed: number
  ratePerSecond: number
  keep: boolean
}

const CLI = join(import.meta.dirname, '../src/cli.js')
/** To drain: for any run, and more for one that went on for long and left more. */
const DRAIN_PATIENCE_S = 150
const DRAIN_PATIENCE_PER_S = 0.5
const LOOK_AGAIN_MS = 500

export async function perform({ scope, seconds, seed, ratePerSecond, keep }: PerformOptions): Promise<Facts> {
  const dir = await mkdtemp(join(tmpdir(), 'alert-relay-chaos-'))
  scope.teardown(() => (keep ? print(`logs: ${dir}`) : rm(dir, { recursive: true, force: true })))
  const publisher = await createSnsPublisher()
  await publisher.serve()
  scope.teardown(() => publisher.close())
  const [postgres, redis] = [await startPostgres(scope), await startRedis(scope)]
  const unrest = createUnrest()
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
  const { apis, workers } = await startRelays(scope, dir, settings, unrest)
  const urls = () => apis.map(({ url }) => url)
  const api = createRelayApi(urls, key)
  const receivers = await startReceivers(scope, seed)
  const webhooks = await register(api, receivers)

  const flow = startFlow({ publisher, urls, random: createRandom(seed, 'flow'), ratePerSecond })
  const startedMs = Date.now()
  const tell = (line: string) => print(`${((Date.now() - startedMs) / 1000).toFixed(1).padStart(7)} s  ${line}`)
  const saboteur = startSaboteur({ apis, workers, postgres, redis, unrest }, createRandom(seed, 'saboteur'), tell)
  await pause(seconds * 1000)
  // on a busy machine restarts take long: what had no turn yet gets it, within as much time again
  while (saboteur.counts.size < ACTION_KINDS && Date.now() - startedMs < seconds * 2000) await pause(LOOK_AGAIN_MS)
  await saboteur.stop()
  flow.stop()
  await receivers.order({ do: 'heal' })
  tell('all is made well')
  const patienceMs = (DRAIN_PATIENCE_S + seconds * DRAIN_PATIENCE_PER_S) * 1000
  const drainMs = await drain({ flow, api, receivers, webhooks, patienceMs })
  tell(drainMs === undefined ? 'not drained in time' : 'drained')

  const facts = {
    ...(await collect(api, receivers, webhooks)),
    flow: flow.counts,
    accepted: flow.accepted.length,
    changes: flow.accepted.filter(({ value }) => value !== null).length,
    processes: [...apis, ...workers],
    sabotage: saboteur,
    drainMs,
  }
  await explainLosses(api, webhooks, facts.webhooks)
  await Promise.all(facts.processes.map((relay) => relay.stop()))
  return facts
}

type Registry = Map<string, RegisteredWebhook>

async function startRelays(scope: Scope, dir: string, settings: Record<string, string>, unrest: Unrest) {
  const make = async (role: 'api' | 'worker', number: number) => {
    const name = `${role}-${number}`
    const home = join(dir, name)
    await mkdir(home)
    const relay = createRelayProcess({
      name,
      role,
      cli: CLI,
      dir: home,
      settings: { DATA_DIR: home, ...settings },
      unrest,
    })
    scope.teardown(() => relay.end())
    return relay
  }
  const apis = [await make('api', 1), await make('api', 2)]
  const workers = [await make('worker', 1), await make('worker', 2)]
  const all = [...apis, ...workers]
  await Promise.all(all.map((relay) => relay.start()))
  const timer = setInterval(() => void Promise.all(all.map((relay) => relay.measure())), 1000)
  scope.teardown(() => clearInterval(timer))
  return { apis, workers }
}

async function register(api: RelayApi, receivers: Receivers): Promise<Registry> {
  const webhooks: Registry = new Map()
  for (const part of CAST) webhooks.set(part.name, await api.register(part, receivers.urls[part.name]!))
  const secrets = Object.fromEntries([...webhooks].map(([name, { secret }]) => [name, secret]))
  await receivers.order({ do: 'trust', secrets })
  return webhooks
}

interface DrainOptions {
  flow: Flow
  api: RelayApi
  receivers: Receivers
  webhooks: Registry
  patienceMs: number
}

/** How long it took until all was received and the API knows of nothing pending; undefined when it took too long. */
async function drain({ flow, api, receivers, webhooks, patienceMs }: DrainOptions): Promise<number | undefined> {
  const startedMs = Date.now()
  const isLate = () => Date.now() - startedMs > patienceMs
  await Promise.race([flow.done, pause(patienceMs, undefined, { ref: false })])
  await receivers.order({ do: 'expect', events: [...flow.accepted] })
  // a disabled webhook gets no new events: first every event is to have its deliveries
  while ((await api.countUndispatched()) > 0 && !isLate()) await pause(LOOK_AGAIN_MS)
  for (const { id } of webhooks.values()) await api.poke(id)
  while (!isLate()) {
    const reports = Object.values(await receivers.order({ do: 'tell' }))
    if (reports.every(({ missing }) => missing === 0) && (await countPending(api, webhooks)) === 0) {
      return Date.now() - startedMs
    }
    await pause(LOOK_AGAIN_MS)
  }
  return undefined
}

async function countPending(api: RelayApi, webhooks: Registry): Promise<number> {
  let count = 0
  for (const { id } of webhooks.values()) count += await api.countDeliveries(id, 'pending')
  return count
}

async function collect(api: RelayApi, receivers: Receivers, webhooks: Registry) {
  const reports = await receivers.order({ do: 'tell' })
  const facts: WebhookFacts[] = []
  for (const { name, demands } of CAST) {
    const { id, demands: understood } = webhooks.get(name)!
    const [pending, dead, dropped] = await Promise.all(
      ['pending', 'dead', 'dropped'].map((status) => api.countDeliveries(id, status)),
    )
    const counts = { pending: pending!, dead: dead!, dropped: dropped! }
    facts.push({ name, demands, understood, report: reports[name]!, ...counts })
  }
  return { webhooks: facts, undispatched: await api.countUndispatched() }
}

/** What the API says of events that are missing: where to look first. */
async function explainLosses(api: RelayApi, webhooks: Registry, facts: readonly WebhookFacts[]): Promise<void> {
  for (const { name, report } of facts) {
    for (const eventId of report.missingIds) {
      print(`\nmissing at ${name}: ${eventId}`)
      for (const line of await api.explain(eventId, webhooks.get(name)!.id)) print(`  ${line}`)
    }
  }
}
