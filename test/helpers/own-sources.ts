/** Own sources of tests: stored, and read by a process of the test. */
import type { Test } from 'tap'
import { newId } from '../../src/core/platform/id.js'
import type { Database } from '../../src/core/platform/database.js'
import type { EvaluatorBounds } from '../../src/core/platform/jsonata.js'
import type { OwnSource } from '../../src/core/source/own-source.js'
import { insertSource } from '../../src/core/source/own-source-store.js'
import { createOwnSources, type OwnSources } from '../../src/core/source/own-sources.js'

export function ownSource(fields: Partial<OwnSource> = {}): OwnSource {
  const now = new Date().toISOString()
  return {
    ...{ id: newId('src'), name: 'acme', description: '', topics: [], filter: { product: ['acme'] } },
    ...{ mapping: '{ "id": id }', enabled: true, created_at: now, updated_at: now },
    ...fields,
  }
}

/** Stores sources. @returns what a process that has read them knows; it is closed with the test */
export async function readSources(
  t: Test,
  database: Database,
  sources: readonly Partial<OwnSource>[],
  bounds: Partial<EvaluatorBounds> = { timeoutMs: 5000 },
): Promise<OwnSources> {
  for (const fields of sources) await database.transaction((tx) => insertSource(tx, ownSource(fields)))
  const own = createOwnSources({ database, bounds })
  t.teardown(() => own.close())
  await own.refresh()
  return own
}
