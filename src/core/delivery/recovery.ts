/** The schemas of recoveries in the API: events that failed or were missed are delivered again, in the background. */
import { Type, type Static } from 'typebox'
import { idPattern } from '../platform/id.js'
import { oneOf, Time } from '../platform/schema.js'

export const RECOVERY_STATUSES = ['running', 'done', 'cancelled'] as const

export const Recovery = Type.Object(
  {
    id: Type.String({ pattern: idPattern('rec') }),
    webhook_id: Type.String({ pattern: idPattern('wh') }),
    status: oneOf(RECOVERY_STATUSES, { description: 'cancelled: its webhook was deleted or disabled meanwhile.' }),
    since: Time,
    until: Time,
    events_examined: Type.Integer({ minimum: 0, description: 'Events of that time that were looked at so far.' }),
    deliveries_queued: Type.Integer({ minimum: 0, description: 'Deliveries that begin anew so far.' }),
    created_at: Time,
    updated_at: Time,
  },
  { $id: 'Recovery' },
)
export type Recovery = Static<typeof Recovery>

/** The body of a request for a recovery. */
export const RecoveryRequest = Type.Object(
  {
    since: Type.String({ format: 'date-time', description: 'Events received from this time on (RFC 3339).' }),
    until: Type.Optional(
      Type.String({ format: 'date-time', description: 'Events received before this time; left out: until now.' }),
    ),
  },
  { additionalProperties: false, examples: [{ since: '2026-01-01T00:00:00Z' }] },
)
export type RecoveryRequest = Static<typeof RecoveryRequest>
