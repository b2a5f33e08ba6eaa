/**
 * A cache of the registry: every webhook with what an attempt needs, read again only when its version has changed.
 *
 * Guarantee: a snapshot holds every change that was committed before it was asked for, in any process. When only health
 * has changed, which happens often while many receivers are down, only webhooks that are unhealthy or held are read.
 */
import type { Audience, AudienceSource, RegistryVersion } from '../event/audience.js'
import { CHANGE_TYPES } from '../event/event.js'
import { createBatcher } from '../platform/batcher.js'
import type { Queryable } from '../platform/database.js'
import type { Sealer } from '../platform/secrets.js'
import { healthFields } from '../circuit/health-report.js'
import { wantsEvent } from './selection.js'
import { HEALTHY, isUnrestricted } from '../circuit/health.js'
import { listRestricted } from '../circuit/health-store.js'
import type { Target } from './webhook.js'
import { listTargets, readRegistryVersion } from './webhook-store.js'

export interface RegistrySnapshot {
  /** Every webhook, by id. */
  byId: ReadonlyMap<string, Target>
  /** The enabled ones. */
  enabled: readonly Target[]
}

export interface Registry extends AudienceSource {
  /** @param seen a version that the caller has just read; the snapshot is at least as new */
  current(seen?: RegistryVersion): Promise<RegistrySnapshot>
}

interface Cached extends RegistryVersion {
  snapshot: Promise<RegistrySnapshot>
}

export function createRegistry({ database, sealer }: { database: Queryable; sealer: Sealer }): Registry {
  let cached: Cached | undefined
  let audience: Audience | undefined

  /** One read answers all that ask before it begins. */
  const readVersion = createBatcher(
    async (asked: undefined[]) => {
      const version = await readRegistryVersion(database)
      return asked.map(() => version)
    },
    { maxWeight: Infinity, concurrency: 2 },
  )

  const readAll = async () => snapshotOf(await listTargets(database, sealer))

  async function readHealth(before: Promise<RegistrySnapshot>): Promise<RegistrySnapshot> {
    const { byId } = await before
    const restricted = await listRestricted(database)
    return snapshotOf(
      [...byId.values()].map((target) => {
        const state = restricted.get(target.id) ?? HEALTHY
        return isUnrestricted(state) && isUnrestricted(target.state)
          ? target
          : { ...target, ...healthFields(state), state }
      }),
    )
  }

  return {
    async current(seen) {
      // the versions are read first, so that the webhooks read afterwards are at least as new
      const { version, health } = seen ?? (await readVersion(undefined))
      if (cached && cached.version >= version && cached.health >= health) return cached.snapshot
      const snapshot = cached && cached.version >= version ? readHealth(cached.snapshot) : readAll()
      const reading = { version, health, snapshot }
      cached = reading
      snapshot.then(
        ({ enabled }) => {
          if (cached === reading) audience = audienceOf(version, enabled)
        },
        () => {
          if (cached === reading) cached = undefined
        },
      )
      return snapshot
    },
    audience: () => audience,
  }
}

/** Above this many webhooks every event counts as wanted: matching each one would delay the message to be stored. */
const MAX_MATCHED = 100

function audienceOf(version: bigint, enabled: readonly Target[]): Audience {
  return {
    version,
    mayWant(event) {
      if (enabled.length > MAX_MATCHED) return true
      // only the statement that stores a change knows what it does to its alert
      const types = event.type === 'alert.updated' ? CHANGE_TYPES : [event.type]
      return enabled.some((target) => types.some((type) => wantsEvent(target, { ...event, type })))
    },
  }
}

function snapshotOf(targets: readonly Target[]): RegistrySnapshot {
  return {
    byId: new Map(targets.map((target) => [target.id, target])),
    enabled: targets.filter(({ status }) => status === 'enabled'),
  }
}
