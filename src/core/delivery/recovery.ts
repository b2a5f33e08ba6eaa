/** The schemas of recoveries in the API: events that failed or were missed are delivered again, in the background. */
import { Type, type Static } from 'typebox'
import { idPattern } from '../platform/id.js'
import { nullableTime, oneOf, Time } from '../platform/schema.js'

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

/** The field of a request that is to change nothing. */
export const DRY_RUN = {
  dry_run: Type.Optional(
    Type.Boolean({ default: false, description: 'true: nothing is done, and the answer (200) says what would be.' }),
  ),
}

/** What would be delivered again. */
export const Foreseen = Type.Object(
  {
    deliveries: Type.Integer({ minimum: 0, description: 'How many would be made again.' }),
    webhooks: Type.Array(
      Type.Object({ webhook_id: Type.String({ pattern: idPattern('wh') }), deliveries: Type.Integer({ minimum: 1 }) }),
      { description: 'To which webhooks, the most first; at most 100.' },
    ),
    oldest: nullableTime('When the oldest delivery was made, or for a recovery its event received; null without any.'),
    newest: nullableTime('The same of the newest.'),
    is_complete: Type.Boolean({
      description: 'False: there are more events than were examined, and so maybe more deliveries.',
    }),
  },
  { $id: 'Foreseen' },
)
export type Foreseen = Static<typeof Foreseen>

/** The body of a request for a recovery. */
export const RecoveryRequest = Type.Object(
  {
    since: Type.String({ format: 'date-time', description: 'Events received from this time on (RFC 3339).' }),
    until: Type.Optional(
      Type.String({ format: 'date-time', description: 'Events received before this time; left out: until now.' }),
    ),
    ...DRY_RUN,
  },
  { additionalProperties: false, examples: [{ since: '2026-01-01T00:00:00Z' }] },
)
export type RecoveryRequest = Static<typeof RecoveryRequest>
