/** The engine of rule matches on a test's database, and what it made. */
import type { Test } from 'tap'
import type { RuleMatch } from '../../src/core/alert/rule-match.js'
import { loadContent } from '../../src/core/delivery/content.js'
import { createAcceptMatches } from '../../src/core/event/accept-matches.js'
import type { AudienceSource } from '../../src/core/event/audience.js'
import { findEvent } from '../../src/core/event/event-store.js'
import type { Database } from '../../src/core/platform/database.js'
import { stringifyJson, type JsonObject } from '../../src/core/platform/json.js'
import { createLogger } from '../../src/core/platform/logger.js'
import type { Batch } from '../../src/core/platform/queues.js'
import { borrowTestDatabase } from './backends.js'

interface EngineOptions {
  wrap?: (database: Database) => Database
  audience?: AudienceSource
}

/** @param wrap replaces the database that the engine writes to */
export async function matchEngine(t: Test, { wrap = (database: Database) => database, audience }: EngineOptions = {}) {
  const database = await borrowTestDatabase(t)
  const queued: string[] = []
  const clock = { now: new Date('2026-01-01T00:00:00.000Z') }
  const queues = {
    addDispatches: async (batches: readonly Batch[]) => void queued.push(...batches.map(({ batchId }) => batchId)),
  }
  const acceptMatches = createAcceptMatches({ database: wrap(database), queues, audience, now: () => clock.now })
  const accept = (
    matches: readonly RuleMatch[],
    key?: string,
    { caller = 'a key', route = 'POST /v1/rule-matches' } = {},
  ) => {
    const idempotency = key === undefined ? undefined : { key, caller, route }
    return acceptMatches(matches, { idempotency, log: createLogger('silent') })
  }
  const bodyOf = async (eventId: string | null) => {
    const { body } = await loadContent(database, (await findEvent(database, eventId!))!)
    return JSON.parse(stringifyJson(body)) as Record<
      'context_diff' | 'incoming_rule_matches_context' | 'relay' | 'updated_alert',
      JsonObject
    >
  }
  return { database, queued, clock, accept, bodyOf }
}
