/**
 * The API's document (OpenAPI 3.1): what the routes do not say themselves.
 *
 * Promise: paths and schemas come from the routes, so the document cannot say what the service does not do; its
 * `webhooks` section says what receivers get.
 */
import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import { SAMPLE_CHANGE } from './core/event/sample.js'
import { VERSION } from './core/platform/version.js'

type OpenApiOptions = Pick<FastifyDynamicSwaggerOptions, 'openapi' | 'refResolver'>

const DESCRIPTION = `A webhook relay gateway for security alert change streams.

SNS posts alert changes to \`/sns\`; every change goes to every registered webhook that wants it: signed (Standard Webhooks),
retried for three days, replayable. An alert's context is accumulated, so \`context_diff\` holds only what that alert never
held before.

**Try it**: press *Authorize* and paste the key that the first start printed (it is kept in \`DATA_DIR/api-key\`), register a
webhook, send a test to it, and look at its deliveries.`

const RELAY_EXAMPLE = {
  event_id: 'evt_0192f3c8a7e07c1f8f0a5d2b9c3e4f10',
  type: 'alert.updated',
  sequence: 2,
  topic_arn: 'arn:aws:sns:us-west-2:123456789012:matano_alerts',
  received_at: '2023-03-15T06:22:41.112Z',
  upstream_context_diff: SAMPLE_CHANGE.context_diff,
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
  header('webhook-id', "The event's id, the same at every retry and replay: take an id once.", RELAY_EXAMPLE.event_id),
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

const relayProperties = {
  event_id: { type: 'string' as const },
  type: { type: 'string' as const },
  sequence: {
    type: 'integer' as const,
    description: 'Counts the changes of one alert: drop what is older than what you have.',
  },
  previous_severity: { type: 'string' as const, description: 'The severity before, where it rose with this change.' },
  topic_arn: { type: ['string', 'null'] as ('string' | 'null')[] },
  cut: { type: 'boolean' as const, description: 'True where contexts were cut to the diff to fit an SNS message.' },
  received_at: { type: 'string' as const, format: 'date-time' },
  upstream_context_diff: { description: 'What the message itself called new.' },
}

const alertChangeBody = {
  type: 'object' as const,
  required: ['updated_alert', 'incoming_rule_matches_context', 'context_diff', 'relay'],
  properties: {
    updated_alert: {
      type: 'object' as const,
      description: 'The latest state of the alert, its whole context included.',
    },
    incoming_rule_matches_context: {
      type: 'object' as const,
      description: 'A summary of the rule matches of this change.',
    },
    context_diff: { type: 'object' as const, description: 'What this alert never held before.' },
    indicators: {
      type: 'array' as const,
      description: 'With `once`: the values that this webhook was never sent.',
      items: { type: 'object' as const, properties: { path: { type: 'string' as const }, value: {} } },
    },
    relay: { type: 'object' as const, properties: relayProperties },
  },
}

const notificationBody = {
  type: 'object' as const,
  required: ['message', 'subject', 'relay'],
  properties: {
    message: { description: "SNS's Message: as JSON when it is an object or an array, otherwise as a string." },
    subject: { type: ['string', 'null'] as ('string' | 'null')[] },
    relay: { type: 'object' as const, properties: relayProperties },
  },
}

const receives = (operationId: string, summary: string, schema: object, example: unknown) => ({
  post: {
    operationId,
    tags: ['received by webhooks'],
    summary,
    parameters: RECEIVER_HEADERS,
    requestBody: { required: true, content: { 'application/json': { schema, example } } },
    responses: RECEIVER_ANSWERS,
  },
})

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
      { name: 'rule matches', description: 'Alert changes without Matano: report what your rules hit.' },
      { name: 'deliveries', description: 'An event for a webhook, and every attempt at it.' },
      { name: 'topics', description: 'The SNS topics that feed us.' },
      { name: 'sns', description: 'Where SNS posts.' },
      { name: 'operations', description: 'Health.' },
      { name: 'received by webhooks', description: 'What this service posts to a webhook.' },
    ],
    components: {
      securitySchemes: { key: { type: 'http', scheme: 'bearer', description: 'An API key.' } },
    },
    security: [{ key: [] }],
    webhooks: {
      alertChange: receives(
        'receiveAlertChange',
        'alert.created, alert.updated, alert.quiet, webhook.test',
        alertChangeBody,
        {
          ...SAMPLE_CHANGE,
          relay: RELAY_EXAMPLE,
        },
      ),
      notification: receives('receiveNotification', 'sns.notification', notificationBody, {
        message: { AlarmName: 'root-login', NewStateValue: 'ALARM' },
        subject: 'ALARM: "root-login"',
        relay: { ...RELAY_EXAMPLE, type: 'sns.notification', sequence: undefined, upstream_context_diff: undefined },
      }),
    },
  },
  refResolver: {
    buildLocalReference: (json, _baseUri, _fragment, i) => (typeof json.$id === 'string' ? json.$id : `def-${i}`),
  },
}
