/** Messages of security services, and their way through the relay: accepted, dispatched, received. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { newId } from '../../src/core/platform/id.js'
import { parseJson, stringifyJson, type Json, type JsonObject } from '../../src/core/platform/json.js'
import { ROOT } from '../../src/core/platform/root.js'
import type { Accept } from '../../src/core/event/accept.js'
import type { TestWorkers } from './workers.js'

export const FINDINGS_TOPIC = 'arn:aws:sns:eu-west-1:111122223333:alerts'

/** The message of a fixture of test/core/source. */
export async function fixtureMessage(name: string): Promise<JsonObject> {
  const text = await readFile(join(ROOT, `test/core/source/fixtures/${name}.json`), 'utf8')
  return (parseJson(text) as { message: JsonObject }).message
}

/** A copy of an envelope as EventBridge sends another event: with an id of its own, and with these members of the detail. */
export function another(message: JsonObject, detail: JsonObject = {}): JsonObject {
  return { ...message, id: newId('evt'), detail: { ...(message.detail as JsonObject), ...detail } }
}

/** A copy of a message of Security Hub with one finding, with other members of it. */
export function anotherFinding(message: JsonObject, members: JsonObject): JsonObject {
  const { findings } = message.detail as { findings: JsonObject[] }
  return another(message, { findings: [{ ...findings[0]!, ...members }] })
}

/** Accepts a message as SNS would send it. */
export function sendTo(accept: Accept, message: Json, fields: Partial<Parameters<Accept>[0]> = {}) {
  return accept({
    messageId: newId('evt'),
    topicArn: FINDINGS_TOPIC,
    subject: undefined,
    message: typeof message === 'string' ? message : stringifyJson(message),
    sentAt: new Date(),
    ...fields,
  })
}

/** Accepts messages one after the other and dispatches each. @returns the types of their events, without repeats in a message */
export async function relayAll(workers: TestWorkers, messages: readonly Json[]): Promise<string[]> {
  const types = []
  for (const message of messages) {
    const { event } = await sendTo(workers.accept, message)
    await workers.dispatch({ eventId: event.id })
    types.push(event.type)
  }
  return types
}
