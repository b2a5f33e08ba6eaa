/**
 * The parts of the OpenAPI 3.1 document that do not come from the routes: its description, tags, security scheme and the
 * `webhooks` section, which describes the requests that receivers get.
 *
 * Guarantee: paths and schemas come from the routes, so the document describes what the service does.
 */
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { SAMPLE_CHANGE } from './core/event/sample.js'
import { VERSION } from './core/platform/version.js'
import {
  AlertChange,
  DeadDeliveriesNotice,
  SnsNotification,
  TestChange,
  WebhookNotice,
} from './core/format/body-schema.js'

type OpenApiOptions = Pick<FastifyDynamicSwaggerOptions, 'openapi' | 'refResolver' | 'transformObject'>

const DESCRIPTION = `A webhook relay gateway for security alert change streams.

SNS posts alert changes to \`/sns\`; every change goes to every registered webhook that wants it: signed (Standard Webhooks),
retried for three days, replayable. An alert's context is accumulated, so \`context_diff\` holds only what that alert never
held before.

Every answer carries \`x-request-id\`: yours, if the request had one of up to 128 letters, digits and \`_.:+/=@-\`, else a new
one. The log and the audit log name it. What is refused is a problem (RFC 9457) that names every field and parameter at fault.
A path that is known answers any other method with 405 and \`Allow\`.

**Try it**: press *Authorize* and paste the key (the first start makes one, in \`DATA_DIR/api-key\`), register a
webhook, send a test to it, and look at its deliveries.`

const ORIGIN_EXAMPLE = {
  event_id: 'evt_0192f3c8a7e07c1f8f0a5d2b9c3e4f10',
  topic_arn: 'arn:aws:sns:us-west-2:123456789012:matano_alerts',
  received_at: '2023-03-15T06:22:41.112Z',
}

const KEY_DESCRIPTION =
  'An API key. Every operation names the scope that it needs (ingest, read, write or admin); admin takes in write, and write takes in read and ingest. ' +
  'The key that the first start made and those of API_KEYS have full rights.'

const RELAY_EXAMPLE = {
  ...ORIGIN_EXAMPLE,
  type: 'alert.updated',
  sequence: 2,
  upstream_context_diff: SAMPLE_CHANGE.context_diff,
}

const NOTICE_EXAMPLE = {
  webhook: {
    id: 'wh_0192f3c8a7e07c1f8f0a5d2b9c3e4f11',
    name: 'soar',
    description: 'Playbooks for root credentials',
    status: 'enabled',
    disabled_reason: null,
    health: 'failing',
    failing_since: '2023-03-15T06:22:41.112Z',
    last_failure: 'rejected: status 503',
  },
  relay: { ...ORIGIN_EXAMPLE, type: 'webhook.failing', topic_arn: null },
}

const DEAD_EXAMPLE = {
  webhook: NOTICE_EXAMPLE.webhook,
  deliveries: {
    count: 1,
    first: [
      {
        delivery_id: 'dlv_0192f3c8a7e07c1f8f0a5d2b9c3e4f12',
        event_id: 'evt_0192f3c8a7e07c1f8f0a5d2b9c3e4f13',
        event_type: 'alert.created',
        attempts: 10,
        reason: '10 attempts failed, the last one: rejected',
        last_failure: 'rejected: status 503',
        died_at: '2023-03-18T09:22:41.112Z',
      },
    ],
  },
  relay: { ...ORIGIN_EXAMPLE, type: 'delivery.dead', topic_arn: null },
}

const header = (name: string, description: string, example: string) => ({
  name,
  in: 'header' as const,
  required: true,
  description,
  schema: { type: 'string' as const },
  example,
})

const RECEIVER_HEADERS = [
  header('webhook-id', "The event's id, the same at every retry and replay: take an id once.", ORIGIN_EXAMPLE.event_id),
  header('webhook-timestamp', 'Seconds since 1970 at this attempt.', '1678861361'),
  header(
    'webhook-signature',
    '`v1,` and the HMAC-SHA256 of `id.timestamp.body`, in base64; one per live secret.',
    'v1,K5oZ...',
  ),
  header('x-alert-relay-attempt', 'Counts the attempts of this delivery from 1.', '1'),
]

const RECEIVER_ANSWERS = {
  '2XX': { description: 'Taken. Anything else, redirects included, is tried again.' },
}

/** The bodies that webhooks receive, by their schema names in the document. */
const BODIES: Record<
  'AlertChange' | 'TestChange' | 'SnsNotification' | 'WebhookNotice' | 'DeadDeliveriesNotice',
  object
> = {
  AlertChange,
  TestChange,
  SnsNotification,
  WebhookNotice,
  DeadDeliveriesNotice,
}

const webhookOperation = (operationId: string, summary: string, body: keyof typeof BODIES, example: unknown) => ({
  post: {
    operationId,
    tags: ['received by webhooks'],
    summary,
    parameters: RECEIVER_HEADERS,
    requestBody: {
      required: true,
      content: { 'application/json': { schema: { $ref: `#/components/schemas/${body}` }, example } },
    },
    responses: RECEIVER_ANSWERS,
  },
})

/** Whether a body may be left out: its schema is of an object without required fields, so an empty one is valid. */
function acceptsEmptyObject(schema: object = {}): boolean {
  const { type, required = [] } = schema as { type?: string; required?: string[] }
  return type === 'object' && required.length === 0
}

export const openApiOptions: OpenApiOptions = {
  openapi: {
    openapi: '3.1.0',
    info: {
      title: 'alert-relay',
      version: VERSION,
      description: DESCRIPTION,
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/' }],
    tags: [
      { name: 'webhooks', description: 'The registry: who gets what.' },
      { name: 'events', description: 'What was accepted from SNS.' },
      { name: 'alerts', description: 'What every alert is and ever held.' },
      { name: 'sources', description: 'Mappings of messages that no built-in source knows to alert changes.' },
      { name: 'rule matches', description: 'Alert changes without Matano: report what your rules hit.' },
      { name: 'deliveries', description: 'An event for a webhook, and every attempt at it.' },
      { name: 'keys', description: 'Who may use this API.' },
      { name: 'audit', description: 'Who changed what.' },
      { name: 'topics', description: 'The SNS topics that feed us.' },
      { name: 'sns', description: 'Where SNS posts.' },
      { name: 'operations', description: 'Health.' },
      { name: 'received by webhooks', description: 'What this service posts to a webhook.' },
    ],
    components: {
      schemas: BODIES,
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: KEY_DESCRIPTION } },
    },
    security: [{ key: [] }],
    webhooks: {
      alertChange: webhookOperation(
        'receiveAlertChange',
        'alert.created, alert.updated, alert.resolved, alert.reopened, alert.quiet',
        'AlertChange',
        {
          ...SAMPLE_CHANGE,
          relay: RELAY_EXAMPLE,
        },
      ),
      notification: webhookOperation('receiveNotification', 'sns.notification', 'SnsNotification', {
        message: { AlarmName: 'root-login', NewStateValue: 'ALARM' },
        subject: 'ALARM: "root-login"',
        relay: { ...ORIGIN_EXAMPLE, type: 'sns.notification' },
      }),
      webhookNotice: webhookOperation(
        'receiveWebhookNotice',
        'webhook.failing, webhook.recovered, webhook.disabled',
        'WebhookNotice',
        NOTICE_EXAMPLE,
      ),
      deadDeliveries: webhookOperation(
        'receiveDeadDeliveries',
        'delivery.dead: deliveries that died, one notice a webhook and minute at most',
        'DeadDeliveriesNotice',
        DEAD_EXAMPLE,
      ),
      test: webhookOperation('receiveTest', 'webhook.test', 'TestChange', {
        ...SAMPLE_CHANGE,
        relay: { ...ORIGIN_EXAMPLE, type: 'webhook.test', topic_arn: null },
      }),
    },
  },
  // the plugin marks every body as required
  transformObject: (document) => {
    if (!('openapiObject' in document)) return document.swaggerObject
    for (const operations of Object.values(document.openapiObject.paths ?? {})) {
      const { requestBody } = operations?.post ?? {}
      const [media] = requestBody && 'content' in requestBody ? Object.values(requestBody.content) : []
      if (requestBody && 'required' in requestBody) requestBody.required = !acceptsEmptyObject(media?.schema)
    }
    return document.openapiObject
  },
  refResolver: {
    buildLocalReference: (json, _baseUri, _fragment, i) => (typeof json.$id === 'string' ? json.$id : `def-${i}`),
  },
}
