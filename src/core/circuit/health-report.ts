/** The webhook as a notice describes it: without its URL, which may hold a secret. Pure. */
import { Type, type Static } from 'typebox'
import { idPattern } from '../platform/id.js'
import { NAME, nullableText, nullableTime, oneOf, WITHOUT_NUL } from '../platform/schema.js'
import { HEALTH_STATES, type Health } from './health.js'

export const HealthReport = Type.Object({
  id: Type.String({ pattern: idPattern('wh') }),
  name: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    ...NAME,
    description: 'Unique among webhooks: `alert-relay apply` identifies a webhook by its name.',
  }),
  description: Type.String({ maxLength: 500, ...WITHOUT_NUL, description: 'For people.' }),
  status: oneOf(['enabled', 'disabled'], {
    description: 'A disabled webhook gets no new events; its pending deliveries wait until it is enabled again.',
  }),
  disabled_reason: nullableText('Why it is disabled; null when enabled.'),
  health: oneOf(HEALTH_STATES, {
    description:
      'The state of its circuit. failing: after five failures of the receiver in a row its deliveries wait, and one at a time is a probe; ' +
      'recovering: waiting deliveries are sent at a growing rate.',
  }),
  failing_since: nullableTime('The first failure after its last success; null when it is healthy.'),
  last_failure: nullableText('The last failure; null when it is healthy.'),
})
export type HealthReport = Static<typeof HealthReport>

/** The fields of a webhook that report its health. */
export function healthFields({ state, failingSince, lastFailure }: Health) {
  const isHealthy = state === 'healthy'
  return {
    health: state,
    failing_since: isHealthy ? null : (failingSince?.toISOString() ?? null),
    last_failure: isHealthy ? null : lastFailure,
  }
}
