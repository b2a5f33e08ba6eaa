/** The request that an attempt would make, with its secrets masked. */
import { findEvent } from '../event/event-store.js'
import type { Queryable } from '../platform/database.js'
import { MASK } from '../webhook/credentials-mask.js'
import { isSpared, wantsBody, wantsEvent } from '../webhook/selection.js'
import { withIndicators } from '../format/body.js'
import { indicatorOf, selectIndicators } from '../indicator/once.js'
import type { Renderer } from '../format/render.js'
import { liveSecrets, type Target } from '../webhook/webhook.js'
import { toView } from '../webhook/webhook-check.js'
import { maxBodyBytes, requestHeaders } from './attempt.js'
import { loadContent } from './content.js'
import { testEvent } from './test-delivery.js'

export interface Preview {
  wanted: boolean
  headers: Record<string, string>
  body: string | null
  error: string | null
}

/**
 * @param eventId undefined: the event of a test
 * @returns undefined when there is no such event
 */
export async function previewDelivery(
  { database, renderer }: { database: Queryable; renderer: Renderer },
  target: Target,
  eventId: string | undefined,
  now: Date,
): Promise<Preview | undefined> {
  const event = eventId === undefined ? testEvent(now) : await findEvent(database, eventId)
  if (!event) return undefined
  const content = await loadContent(database, event, { reader: target })
  const { once } = target
  const body = once
    ? withIndicators(content.body, selectIndicators(content.carried, once).map(indicatorOf))
    : content.body
  const isSelected = eventId === undefined || (wantsEvent(target, event) && !isSpared(target, event, content))
  const wanted = isSelected && wantsBody(target, content)
  const limits = { maxBytes: maxBodyBytes(target, event), cut: 0 as const }
  const rendered = await renderer.render(target, event, body, toView(target).format_options, limits)
  if (!rendered.ok) return { wanted, headers: {}, body: null, error: rendered.error }
  const { outgoing } = rendered
  const secrets = liveSecrets(target.secrets, now)
  const own = { ...toView(target).headers, ...(target.auth ? { authorization: MASK } : {}) }
  const request = { event, secrets, number: 1, replay: false, body: outgoing, headers: own }
  return { wanted, headers: requestHeaders(request, now), body: outgoing.bytes.toString('utf8'), error: null }
}
