/**
 * The registry as this process holds it: every webhook with what an attempt needs, read anew only when it changed.
 *
 * Promise: what is asked for after a change was committed, in whatever process, has that change in it. A change of a webhook's
 * health alone, of which there are many when many receivers go down, reads only those that are not well.
 */
import type { Audience, AudienceSource } from '../event/audience.js'
import type { Queryable } from '../platform/database.js'
import type { Sealer } from '../platform/secrets.js'
import { healthFields } from '../circuit/health-report.js'
import { wantsEvent } from './selection.js'
import { HEALTHY } from '../circuit/health.js'
import { listUnwell } from '../circuit/health-store.js'
import { type Target } from './webhook.js'
import { listTargets, readRegistryVersion, type RegistryVersion } from './webhook-store.js'

export interface RegistrySnapshot {
  /** Every webhook, by id. */
  byId: ReadonlyMap<string, Target>
  /** Those that are enabled. */
  enabled: readonly Target[]
}

export interface Registry extends AudienceSource {
  current(): Promise<RegistrySnapshot>
}

interface Held extends RegistryVersion {
  snapshot: Promise<RegistrySnapshot>
}

export function createRegistry({ database, sealer }: { database: Queryable; sealer: Sealer }): Registry {
  let held: Held | undefined
  let audience: Audience | undefined

  const readAll = async () => snapshotOf(await listTargets(database, sealer))

  async function readHealth(before: Promise<RegistrySnapshot>): Promise<RegistrySnapshot> {
    const { byId } = await before
    const unwell = await listUnwell(database)
    return snapshotOf(
      [...byId.values()].map((target) => {
        const state = unwell.get(target.id) ?? HEALTHY
        const isSame = state.state === target.state.state && state.state === 'healthy'
        return isSame ? target : { ...target, ...healthFields(state), state }
      }),
    )
  }

  return {
    async current() {
      // The versions first: what is read after them is as new or newer.
      const { version, health } = await readRegistryVersion(database)
      if (held && held.version >= version && held.health >= health) return held.snapshot
      const snapshot = held && held.version >= version ? readHealth(held.snapshot) : readAll()
      const reading = { version, health, snapshot }
      held = reading
      snapshot.then(
        ({ enabled }) => {
          if (held === reading) audience = audienceOf(version, enabled)
        },
        () => {
          if (held === reading) held = undefined
        },
      )
      return snapshot
    },
    audience: () => audience,
  }
}

/** More webhooks than these are not asked one by one while a message waits to be stored: some are taken to want it. */
const MOST_ASKED = 100

function audienceOf(version: bigint, enabled: readonly Target[]): Audience {
  return {
    version,
    mayWant(event) {
      if (enabled.length > MOST_ASKED) return true
      const first = event.type === 'alert.updated' ? { ...event, type: 'alert.created' as const } : undefined
      return enabled.some((target) => wantsEvent(target, event) || (first !== undefined && wantsEvent(target, first)))
    },
  }
}

function snapshotOf(targets: readonly Target[]): RegistrySnapshot {
  return {
    byId: new Map(targets.map((target) => [target.id, target])),
    enabled: targets.filter(({ status }) => status === 'enabled'),
  }
}
