/**
 * What a key that is bound to webhooks or topics may ask for. Pure.
 *
 * Guarantee: what is not in the table is refused, so a new route is closed to bound keys until it has a decision.
 */
import { isBound, type Bounds } from '../core/access/api-key.js'
import { Refusal } from '../core/platform/errors.js'
import { matchesTopic } from '../core/platform/topic-pattern.js'
import { found } from './problems.js'

/**
 * - `named`: the path names a webhook (`:id`) or a topic (`:arn`), and is not known unless the key is bound to it
 * - `narrowed`: the handler answers with what the key is bound to alone
 * - `none`: refused
 */
export type Decision = 'named' | 'narrowed' | 'none'

/** By operation: the decision for keys bound to webhooks, and for those bound to topics (which have the scope read). */
export const DECISIONS: ReadonlyMap<string, Readonly<Record<keyof Bounds, Decision>>> = new Map(
  (
    [
      ['GET /v1/webhooks', 'narrowed', 'none'],
      ['POST /v1/webhooks', 'none', 'none'],
      ['GET /v1/webhooks/:id', 'named', 'none'],
      ['PATCH /v1/webhooks/:id', 'named', 'none'],
      ['DELETE /v1/webhooks/:id', 'named', 'none'],
      ['POST /v1/webhooks/:id/test', 'named', 'none'],
      ['POST /v1/webhooks/:id/preview', 'named', 'none'],
      ['POST /v1/webhooks/:id/recover', 'named', 'none'],
      ['GET /v1/webhooks/:id/recoveries', 'named', 'none'],
      ['GET /v1/webhooks/:id/deliveries', 'named', 'none'],
      ['GET /v1/webhooks/:id/secret', 'named', 'none'],
      ['POST /v1/webhooks/:id/secret/rotate', 'named', 'none'],
      ['GET /v1/webhooks/:id/public-key', 'named', 'none'],
      ['GET /v1/deliveries', 'narrowed', 'none'],
      ['GET /v1/deliveries/:id', 'narrowed', 'none'],
      ['POST /v1/deliveries/:id/retry', 'narrowed', 'none'],
      ['POST /v1/deliveries/retry', 'narrowed', 'none'],
      ['GET /v1/recoveries/:id', 'narrowed', 'none'],
      ['GET /v1/topics', 'none', 'narrowed'],
      ['GET /v1/topics/:arn', 'none', 'named'],
      ['PUT /v1/topics/:arn', 'none', 'none'],
      ['DELETE /v1/topics/:arn', 'none', 'none'],
      ['POST /v1/topics/:arn/approve', 'none', 'none'],
      ['GET /v1/events', 'none', 'narrowed'],
      ['GET /v1/events/:id', 'none', 'narrowed'],
      ['GET /v1/events/:id/deliveries', 'none', 'none'],
      ['POST /v1/events/:id/replay', 'none', 'none'],
      ['POST /v1/rule-matches', 'none', 'none'],
      ['POST /v1/messages', 'none', 'none'],
      ['GET /v1/alerts', 'none', 'none'],
      ['GET /v1/alerts/:id', 'none', 'none'],
      ['GET /v1/alerts/:id/values', 'none', 'none'],
      ['GET /v1/alerts/:id/events', 'none', 'none'],
      ['GET /v1/values', 'none', 'none'],
      ['POST /v1/filters/test', 'none', 'none'],
      ['GET /v1/sources', 'none', 'none'],
      ['POST /v1/sources', 'none', 'none'],
      ['GET /v1/sources/:id', 'none', 'none'],
      ['PATCH /v1/sources/:id', 'none', 'none'],
      ['DELETE /v1/sources/:id', 'none', 'none'],
      ['POST /v1/sources/test', 'none', 'none'],
      ['GET /v1/keys', 'none', 'none'],
      ['POST /v1/keys', 'none', 'none'],
      ['DELETE /v1/keys/:id', 'none', 'none'],
      ['GET /v1/audit', 'none', 'none'],
      ['GET /metrics', 'none', 'none'],
    ] as const
  ).map(([operation, webhooks, topics]) => [operation, { webhooks, topics }]),
)

/** The name of an operation in the table. @param path as registered, with the names of parameters */
export function operationOf(method: string, path: string): string {
  return `${method === 'HEAD' ? 'GET' : method} ${path}`
}

/**
 * Checks a request of a key against its bounds; of a key without bounds every request is in order.
 * @param params the parameters of the path
 * @throws Refusal 'forbidden', or 'not_found' for a webhook or topic that the key is not bound to
 */
export function checkBounds(bounds: Bounds, operation: string, params: { id?: string; arn?: string }): void {
  if (!isBound(bounds)) return
  const { webhooks } = bounds
  const kind = webhooks ? 'webhooks' : 'topics'
  const decision = DECISIONS.get(operation)?.[kind] ?? 'none'
  if (decision === 'none') {
    throw new Refusal('forbidden', `This key is bound to ${kind}: it may not ask for ${operation}.`)
  }
  if (decision === 'narrowed') return
  const isCovered = webhooks ? coversWebhook(bounds, params.id ?? '') : coversTopic(bounds, params.arn)
  found(isCovered || undefined, webhooks ? 'webhook' : 'topic')
}

/** Whether something of this webhook may be shown to, or changed by, a key with these bounds. */
export function coversWebhook({ webhooks }: Bounds, id: string): boolean {
  return webhooks === null || webhooks.includes(id)
}

/** Whether something that came from this topic may be shown to a key with these bounds. @param arn null: from none */
export function coversTopic({ topics }: Bounds, arn: string | null | undefined): boolean {
  return topics === null || (typeof arn === 'string' && matchesTopic(topics, arn))
}
