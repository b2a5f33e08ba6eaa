/** The setup of end-to-end tests: a publisher, a relay that accepts its messages, and receivers of the deliveries. */
import type { Test } from 'tap'
import { SAMPLE_CHANGE } from '../../src/core/event/sample.js'
import { createReceiver, type Receiver, type Respond } from './receiver.js'
import { startRelay, type Relay } from './relay.js'
import { createSnsPublisher, TEST_TOPIC, type SnsPublisher } from './sns-publisher.js'
import { until } from './until.js'

export interface Delivery {
  id: string
  status: string
  reason: string | null
  attempt_count: number
  next_attempt_at: string | null
  webhook_id: string
}

export async function publisherFor(t: Test): Promise<SnsPublisher> {
  const publisher = await createSnsPublisher()
  await publisher.serve()
  t.teardown(() => publisher.close())
  return publisher
}

export async function relayFor(
  t: Test,
  publisher: SnsPublisher,
  settings: Record<string, string> = {},
): Promise<Relay> {
  return startRelay(t, { SNS_TOPICS: TEST_TOPIC, SNS_EMULATOR: publisher.origin, ...settings })
}

export async function receiverFor(
  t: Test,
  relay: Relay,
  respond?: Respond,
): Promise<{ receiver: Receiver; webhookId: string }> {
  const receiver = await createReceiver(respond ? { respond } : {})
  t.teardown(() => receiver.close())
  const { status, body } = await relay.api<{ id: string; secret: string }>('POST', '/v1/webhooks', {
    url: receiver.url,
  })
  t.equal(status, 201)
  receiver.secrets = [body.secret]
  return { receiver, webhookId: body.id }
}

/** Polls a list of the API until the condition holds. */
export async function deliveriesOnce(
  relay: Relay,
  path: string,
  areDone: (deliveries: Delivery[]) => boolean,
): Promise<Delivery[]> {
  return until(async () => (await relay.api<{ data: Delivery[] }>('GET', path)).body.data, areDone)
}

/** An attempt that takes long is recorded twice: when it exceeds its job, and when it ends. */
export function wereTried(deliveries: Delivery[]): boolean {
  return deliveries.length > 0 && deliveries.every(({ attempt_count: count }) => count > 0)
}

export const seed = JSON.stringify(SAMPLE_CHANGE)
