/** Whether a message could be stored now: one is, and taken back. */
import { randomBytes } from 'node:crypto'
import type { Database } from '../platform/database.js'
import { newMessage } from './accept.js'
import { storeMessages } from './message-store.js'

/** Of text that cannot be compressed, so that it needs room of its own in the table as a message does. */
const PROBE_BYTES = 4500

/** Ends the transaction as if it had never been. */
class TakenBack extends Error {}

/**
 * Stores a message by the statement that stores every message, takes it back, and commits a row elsewhere.
 * @throws Refusal 'undecided' where no message could be stored: a read-only server, a full disk, a commit that waits
 */
export async function checkStorable(database: Database): Promise<void> {
  const message = randomBytes(PROBE_BYTES).toString('base64')
  const probe = { messageId: null, topicArn: null, subject: undefined, message, sentAt: new Date() }
  const storedAndTakenBack = database.transaction(async (tx) => {
    await storeMessages(tx, [newMessage(probe, new Date())])
    throw new TakenBack()
  })
  await storedAndTakenBack.catch((error: unknown) => {
    if (!(error instanceof TakenBack)) throw error
  })
  await database.ping()
}
