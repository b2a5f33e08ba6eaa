import { Ajv } from 'ajv'
import formats from 'ajv-formats'
import t, { type Test } from 'tap'
import type { AlertMemory } from '../../../src/core/alert/alert-store.js'
import { flattenContext } from '../../../src/core/alert/context.js'
import { EVENT_TYPES, TEST_EVENT_TYPE } from '../../../src/core/event/event.js'
import { findEvent } from '../../../src/core/event/event-store.js'
import { SAMPLE_CHANGE } from '../../../src/core/event/sample.js'
import { stringifyJson, type JsonObject } from '../../../src/core/platform/json.js'
import {
  AlertChange,
  DeadDeliveriesNotice,
  SnsNotification,
  TestChange,
  WebhookNotice,
} from '../../../src/core/format/body-schema.js'
import { cutBody, formatEvent, withIndicators } from '../../../src/core/format/body.js'
import { HEALTHY } from '../../../src/core/circuit/health.js'
import { createCircuitTransitions } from '../../../src/core/circuit/transitions.js'
import { createTestWorkers, log } from '../../helpers/workers.js'
import { storedEvent } from './inputs.js'

const BODIES = { AlertChange, TestChange, SnsNotification, WebhookNotice, DeadDeliveriesNotice }
const ajv = formats.default(new Ajv({ allErrors: true, strict: 'log' }))
const memory: AlertMemory = {
  accumulated: flattenContext(SAMPLE_CHANGE.updated_alert.context),
  diff: flattenContext(SAMPLE_CHANGE.context_diff),
}

/** Asserts that a body matches one schema only, and that its `relay` and `webhook` have no undocumented key. */
function isOf(t: Test, name: keyof typeof BODIES, body: JsonObject, message: string): void {
  const json = JSON.parse(stringifyJson(body)) as { relay: object; webhook?: object }
  const valid = Object.entries(BODIES).filter(([, schema]) => ajv.validate(schema, json))
  t.same(
    valid.map(([valid]) => valid),
    [name],
    `${message}: ${valid.length === 0 && !ajv.validate(BODIES[name], json) ? ajv.errorsText() : ''}`,
  )
  const { relay, webhook } = BODIES[name].properties as Record<string, { properties: object }>
  t.strictSame(
    Object.keys(json.relay).filter((key) => !(key in relay!.properties)),
    [],
    message,
  )
  t.strictSame(
    Object.keys(json.webhook ?? {}).filter((key) => !(key in webhook!.properties)),
    [],
    message,
  )
}

t.test('every body matches its schema, and no other', async (t) => {
  const updated = storedEvent({ type: 'alert.updated', sequence: 7n, previousSeverity: 'low' })
  const coalesced = { sequences: [5n, 6n], isCreated: true, previousSeverity: 'info', incoming: [] }
  const { body } = formatEvent(updated, memory, coalesced)
  isOf(t, 'AlertChange', body, 'several changes in one')
  isOf(t, 'AlertChange', cutBody(body, 1), 'cut to what was new')
  isOf(t, 'AlertChange', cutBody(body, 2), 'cut to counts')
  isOf(t, 'AlertChange', withIndicators(body, [{ path: 'user.name', value: 'John Doe' }]), 'with indicators')
  isOf(t, 'AlertChange', formatEvent(storedEvent(), memory).body, 'created')
  isOf(t, 'AlertChange', formatEvent(storedEvent({ type: 'alert.quiet', topicArn: null }), memory).body, 'quiet')
  const test = storedEvent({ type: TEST_EVENT_TYPE, alertId: null, sequence: null, topicArn: null })
  isOf(t, 'TestChange', formatEvent(test, undefined).body, 'a test')
  for (const payload of ['"plain text"', '[1]', '{"AlarmName":"a"}']) {
    const event = storedEvent({ type: 'sns.notification', payload, alertId: null, sequence: null })
    isOf(t, 'SnsNotification', formatEvent(event, undefined).body, payload)
  }
})

t.test('a stored notice matches its schema', async (t) => {
  const { database, addWebhook } = await createTestWorkers(t)
  const { webhook } = await addWebhook(() => ({ status: 204 }))
  const circuit = createCircuitTransitions({ database, log, disableAfterMs: 1 })
  const failure = { reason: 'rejected: status 410', gone: true, subject: 'receiver', resumeAt: null } as const
  const [id] = await circuit.record([{ webhookId: webhook.id, health: HEALTHY, failure }])
  const event = await findEvent(database, id!)
  isOf(t, 'WebhookNotice', formatEvent(event!, undefined).body, event!.type)
})

t.test('a stored notice of dead deliveries matches its schema', async (t) => {
  const { addWebhook, database, dispatches, publish, dispatch, runUpkeep } = await createTestWorkers(t)
  await addWebhook(() => ({ status: 500 }), { retry_schedule_s: [] })
  await dispatch({ eventId: (await publish('text')).id })
  dispatches.length = 0
  await runUpkeep()
  const event = await findEvent(database, dispatches[0]!)
  isOf(t, 'DeadDeliveriesNotice', formatEvent(event!, undefined).body, event!.type)
})

t.test('every type of event has a schema', async (t) => {
  const types = Object.values(BODIES).flatMap((body) => {
    const { type } = body.properties.relay.properties as unknown as { type: { enum: string[] } }
    return type.enum
  })
  t.same(types.sort(), [...EVENT_TYPES, TEST_EVENT_TYPE].sort())
})
