/** Messages with the changes that they are, for tests and the benchmark. */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { buildContext } from '../../../src/core/alert/context.js'
import { parseJson, stringifyJson, type Json, type JsonObject } from '../../../src/core/platform/json.js'
import { ROOT } from '../../../src/core/platform/root.js'
import { recognise, type RecogniseOptions } from '../../../src/core/source/recognise.js'
import type { Finding } from '../../../src/core/source/source.js'

const FOLDER = join(ROOT, 'test/core/source/fixtures')

export const NO_OPTIONS: RecogniseOptions = { disabled: new Set(), enabled: new Set<string>(), severities: new Map() }

export interface Fixture {
  name: string
  message: Json
  /** As `shown` shows it. */
  expected: Json
}

export async function readFixtures(): Promise<Fixture[]> {
  const files = (await readdir(FOLDER)).filter((file) => file.endsWith('.json')).sort()
  return Promise.all(
    files.map(async (file) => {
      const { message, expected } = parseJson(await readFile(join(FOLDER, file), 'utf8')) as Record<string, Json>
      return { name: file.replace('.json', ''), message: message!, expected: expected ?? null }
    }),
  )
}

/** What a message is, as JSON without what is unknown: contexts as they are sent, times in ISO 8601; null for no source's. */
export function shown(message: Json, options: Partial<RecogniseOptions> = {}): Json {
  const answer = recognise(message, { ...NO_OPTIONS, ...options })
  if (!answer) return null
  if (!('changes' in answer)) return { ...answer }
  return parseJson(
    stringifyJson({
      ...withoutUnknown({ source: answer.source, envelopeId: answer.envelopeId, unread: answer.unread }),
      changes: answer.changes.map(({ source, context, matchCount, firstSeen, updatedAt, cut, sample, ...finding }) =>
        withoutUnknown({
          ...finding,
          ...(source === answer.source ? {} : { source }),
          matchCount: matchCount === undefined ? undefined : Number(matchCount),
          firstSeen: firstSeen?.toISOString(),
          updatedAt: updatedAt?.toISOString(),
          cut: cut || undefined,
          sample: sample || undefined,
          context: buildContext(context),
        }),
      ),
    }),
  )
}

function withoutUnknown(values: Record<string, Json | undefined>): Record<string, Json> {
  return Object.fromEntries(Object.entries(values).filter((entry): entry is [string, Json] => entry[1] !== undefined))
}

/** The message of a fixture. */
export async function fixture(name: string): Promise<JsonObject> {
  const { message } = parseJson(await readFile(join(FOLDER, `${name}.json`), 'utf8')) as { message: JsonObject }
  return message
}

/** The changes that a message is; none when it is of no source or cannot be read. */
export function changesOf(message: Json): Finding[] {
  const answer = recognise(message, NO_OPTIONS)
  return answer && 'changes' in answer ? answer.changes : []
}
