/**
 * /v1/webhooks: creates, lists, shows, changes and deletes webhooks.
 *
 * Guarantee: a webhook is read and changed under one lock, so no concurrent change is lost. These routes never answer with its
 * credentials, and with its signing secret and its whole URL only when it is created.
 */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import { healthFields } from '../core/circuit/health-report.js'
import { dropDeliveries } from '../core/delivery/delivery-store.js'
import { wakeNow } from '../core/delivery/wake-now.js'
import type { Database } from '../core/platform/database.js'
import { idPattern, newId } from '../core/platform/id.js'
import { stringifyJson, type Json } from '../core/platform/json.js'
import { PageOf, PageQuery } from '../core/platform/page.js'
import type { Queues } from '../core/platform/queues.js'
import { refTo } from '../core/platform/schema.js'
import type { Sealer } from '../core/platform/secrets.js'
import { DISABLED_BY_OPERATOR, HEALTHY, recoveringFrom } from '../core/circuit/health.js'
import { writeHealth } from '../core/circuit/health-store.js'
import { publishErrors } from '../core/webhook/publish-topics.js'
import { NOTHING_PRIVATE, WebhookView, type Webhook, WebhookCreate, WebhookPatch } from '../core/webhook/webhook.js'
import {
  checkWebhook,
  keptUnder,
  revealPrivate,
  revealUrl,
  toView,
  withWholeUrl,
} from '../core/webhook/webhook-check.js'
import {
  deleteWebhook,
  findWebhook,
  insertWebhook,
  listWebhooks,
  lockWebhook,
  updateWebhook,
} from '../core/webhook/webhook-store.js'
import { audit, boundsOf } from './access.js'
import { answer } from './answers.js'
import { createOnce, IdempotencyHeaders } from './idempotency.js'
import { CREATED_WEBHOOK } from './examples.js'
import { takeLosslessJson } from './json-body.js'
import { found, problemResponses } from './problems.js'
import { secretErrors, secretFor, SigningAnswer, toldOf } from './signing.js'

export interface WebhookRouteOptions {
  database: Database
  queues: Queues
  sealer: Sealer
  /** Patterns of the topics that webhooks may publish to. */
  snsPublishTopics: readonly string[]
}

const Params = Type.Object({ id: Type.String({ pattern: idPattern('wh'), description: 'A webhook id (wh_...).' }) })
export const WebhookWithSecret = Type.Object(
  { ...WebhookView.properties, ...SigningAnswer.properties },
  { $id: 'WebhookWithSecret' },
)
export const ChangedWebhook = Type.Object(
  {
    ...WebhookView.properties,
    dropped: Type.Optional(
      Type.Array(Type.String(), { description: 'What was not kept, because the new URL is of another origin.' }),
    ),
  },
  { $id: 'ChangedWebhook' },
)
/** The most deliveries that the deletion itself drops; the webhook's delivery queue drops the rest. */
const DROPPED_AT_ONCE = 1000
const tags = ['webhooks']

export const webhookRoutes: FastifyPluginAsyncTypebox<WebhookRouteOptions> = async (http, options) => {
  const { database, queues, sealer, snsPublishTopics } = options
  const once = createOnce(options)
  takeLosslessJson(http)
  // keeps every digit of the numbers in a filter; Fastify's own serializer rounds large ones
  http.setSerializerCompiler(() => (answer) => stringifyJson(answer as Json))

  http.post(
    '/webhooks',
    {
      schema: {
        operationId: 'createWebhook',
        tags,
        summary: 'Register a webhook',
        description:
          'Only `url` is required. The answer holds the signing secret and the whole URL; they are shown here and at /secret only.',
        headers: IdempotencyHeaders,
        body: WebhookCreate,
        response: {
          201: answer(
            'It is registered. `location` is its path; the signing secret and the whole URL are in this answer.',
            refTo(WebhookWithSecret),
            CREATED_WEBHOOK,
          ),
          ...problemResponses(400, 401, 409, 415, 422),
        },
      },
    },
    async (request, reply) => {
      // the validator has filled in the schema's defaults
      const { secret: givenSecret, ...body } = request.body as Required<Omit<WebhookCreate, 'secret'>> & {
        secret?: string
      }
      const made = await once(request, async (tx) => {
        const now = new Date()
        const webhook: Webhook = {
          id: newId('wh'),
          ...body,
          ...NOTHING_PRIVATE,
          ...revealPrivate(body, undefined),
          url: revealUrl(body.url, undefined),
          disabled_reason: disabledReason(body.status),
          ...healthFields(HEALTHY),
          created_at: now.toISOString(),
          updated_at: now.toISOString(),
        }
        checkWebhook(webhook, {
          credentials: true,
          filters: true,
          now,
          others: [...publishErrors(snsPublishTopics, body.url), ...secretErrors(webhook.signing, givenSecret)],
        })
        const secret = secretFor(webhook.signing, givenSecret)
        await audit(tx, request, { action: 'webhook.created', target: webhook.id, after: webhook, shown: toView })
        await insertWebhook(tx, sealer, webhook, [{ secret, expiresAt: null }])
        return { ...toView(webhook), url: webhook.url, ...toldOf(secret) }
      })
      return reply.code(201).header('location', `/v1/webhooks/${made.id}`).send(made)
    },
  )

  http.get(
    '/webhooks',
    {
      schema: {
        operationId: 'listWebhooks',
        tags,
        summary: 'List webhooks',
        querystring: Type.Object({
          ...PageQuery,
          name: Type.Optional(Type.String({ description: 'The one of this name.' })),
          status: Type.Optional(WebhookView.properties.status),
          health: Type.Optional(WebhookView.properties.health),
        }),
        response: {
          200: answer('A page of webhooks, newest first.', PageOf(refTo(WebhookView))),
          ...problemResponses(400, 401),
        },
      },
    },
    async (request) => {
      const { query } = request
      const ids = boundsOf(request).webhooks ?? undefined
      const page = await listWebhooks(database, sealer, { ...query, ids }, query)
      return { ...page, data: page.data.map(toView) }
    },
  )

  http.get(
    '/webhooks/:id',
    {
      schema: {
        operationId: 'getWebhook',
        tags,
        summary: 'Show a webhook',
        params: Params,
        response: {
          200: answer('The webhook, its secrets hidden.', refTo(WebhookView)),
          ...problemResponses(400, 401, 404),
        },
      },
    },
    async ({ params }) => toView(found(await findWebhook(database, sealer, params.id), 'webhook')),
  )

  http.patch(
    '/webhooks/:id',
    {
      schema: {
        operationId: 'updateWebhook',
        tags,
        summary: 'Change a webhook',
        description:
          'What waits goes to the new URL. `headers`, `auth`, `tls` and the routing key are kept for the origin that they were ' +
          'given for alone: under another one they are dropped, unless this request has them, and `dropped` says which. Enabling it sends what was held while it was disabled, at a growing rate.',
        params: Params,
        body: WebhookPatch,
        response: {
          200: answer('The webhook as it is now.', refTo(ChangedWebhook)),
          ...problemResponses(400, 401, 404, 409, 415),
        },
      },
    },
    async (request) => {
      const { params, log } = request
      const now = new Date()
      const { webhook, dropped } = await database.transaction(async (tx) => {
        const webhook = found(await lockWebhook(tx, sealer, params.id), 'webhook')
        const body = withWholeUrl(request.body, webhook.url)
        const isEnabling = webhook.status === 'disabled' && body.status === 'enabled'
        const health = isEnabling ? recoveringFrom(now) : undefined
        if (health) await writeHealth(tx, params.id, health)
        const { kept, dropped } = keptUnder(body.url ?? webhook.url, webhook)
        const changed: Webhook = {
          ...webhook,
          ...body,
          ...kept,
          ...revealPrivate(body, kept),
          updated_at: now.toISOString(),
        }
        if (body.status) changed.disabled_reason = disabledReason(body.status)
        const credentials = [body.url, body.headers, body.auth, body.tls].some((field) => field !== undefined)
        const filters = body.filter !== undefined || body.success !== undefined
        checkWebhook(changed, {
          credentials,
          filters,
          now,
          others: publishErrors(snsPublishTopics, body.url, webhook.url),
        })
        await audit(tx, request, {
          action: 'webhook.updated',
          target: params.id,
          before: webhook,
          after: changed,
          shown: toView,
        })
        await updateWebhook(tx, sealer, changed)
        const given = new Set(Object.keys(body))
        return {
          webhook: health ? { ...changed, ...healthFields(health) } : changed,
          dropped: dropped.filter((name) => !given.has(name.split('.')[0]!)),
        }
      })
      // deliveries that wait may be due under the new URL or limits
      await wakeNow({ database, queues, log }, [params.id], now)
      return { ...toView(webhook), ...(dropped.length > 0 ? { dropped } : {}) }
    },
  )

  http.delete(
    '/webhooks/:id',
    {
      schema: {
        operationId: 'deleteWebhook',
        tags,
        summary: 'Delete a webhook',
        description: 'What waits for it is dropped, and says so.',
        params: Params,
        response: {
          204: Type.Null({ description: 'The webhook is deleted; there is no body.' }),
          ...problemResponses(400, 401, 404),
        },
      },
    },
    async (request, reply) => {
      const { params, log } = request
      const now = new Date()
      await database.transaction(async (tx) => {
        const webhook = found(await lockWebhook(tx, sealer, params.id), 'webhook')
        await audit(tx, request, { action: 'webhook.deleted', target: params.id, before: webhook, shown: toView })
        found((await deleteWebhook(tx, params.id)) || undefined, 'webhook')
        await dropDeliveries(tx, params.id, now, { limit: DROPPED_AT_ONCE, skipsLocked: true })
      })
      await wakeNow({ database, queues, log }, [params.id], now)
      return reply.code(204).send(null)
    },
  )
}

function disabledReason(status: Webhook['status']): string | null {
  return status === 'disabled' ? DISABLED_BY_OPERATOR : null
}
