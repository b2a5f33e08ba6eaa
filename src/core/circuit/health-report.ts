/** What a notice says of a webhook: not its URL, which may hold a secret. Pure. */
import { Type, type Static } from 'typebox'
import { idPattern } from '../platform/id.js'
import { nullableText, nullableTime, oneOf } from '../platform/schema.js'
import { HEALTH_STATES, type Health } from './health.js'

export const HealthReport = Type.Object({
  id: Type.String({ pattern: idPattern('wh') }),
  name: Type.Unsafe<string | null>({
    type: ['string', 'null'],
    pattern: '^[A-Za-z0-9][A-Za-z0-9._ -]{0,98}[A-Za-z0-9]$',
    description: 'What it is called, by one webhook alone: `alert-relay apply` knows it by its name.',
  }),
  description: Type.String({ maxLength: 500, pattern: '^[^\\u0000]*$', description: 'For people.' }),
  status: oneOf(['enabled', 'disabled'], {
    description: 'A disabled webhook gets no new events; its waiting retries are held until it is enabled again.',
  }),
  disabled_reason: nullableText('Why it is disabled; null when enabled.'),
  health: oneOf(HEALTH_STATES, {
    description:
      'What its receiver shows. failing: after five failures in a row what is for it waits, with one probe at a time; ' +
      'recovering: what waited is sent at a growing rate.',
  }),
  failing_since: nullableTime('The first failure after its last success; null when it is well.'),
  last_failure: nullableText('What the last failure was; null when it is well.'),
})
export type HealthReport = Static<typeof HealthReport>

/** The fields of a webhook that its receiver's health makes. */
export function healthFields({ state, failingSince, lastFailure }: Health) {
  const isWell = state === 'healthy'
  return {
    health: state,
    failing_since: isWell ? null : (failingSince?.toISOString() ?? null),
    last_failure: isWell ? null : lastFailure,
  }
}
