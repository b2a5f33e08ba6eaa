/**
 * Builds the HTTP server: Fastify with its plugins, the OpenAPI document and the routes.
 *
 * Guarantee: this file builds the server and never listens. Every route under /v1 requires an API key. A field or parameter
 * that the route's schema does not list is refused, never dropped.
 */
import helmet from '@fastify/helmet'
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import underPressure from '@fastify/under-pressure'
import fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify'
import type { Access } from './core/access/access.js'
import { ApiKey } from './core/access/api-key.js'
import { AuditEntry } from './core/access/audit.js'
import { createBodyBudget, type BodyBudget } from './core/platform/body-budget.js'
import { Refusal } from './core/platform/errors.js'
import { createLogger } from './core/platform/logger.js'
import { REQUEST_ID_HEADER, requestIdOf } from './core/platform/request-id.js'
import { traceRequests } from './core/platform/tracing.js'
import { Alert, AlertWithContext, AlertWithSighting, AlertValue } from './core/alert/alert.js'
import { AttemptRecord, Delivery, DeliveryWithAttempts } from './core/delivery/delivery.js'
import { Foreseen, Recovery } from './core/delivery/recovery.js'
import { EventSummary } from './core/event/event.js'
import { OwnSource } from './core/source/own-source.js'
import { Topic } from './core/sns/topic.js'
import { WebhookView } from './core/webhook/webhook.js'
import { openApiOptions } from './openapi.js'
import { requireKeys } from './routes/access.js'
import { alertRoutes, type AlertRouteOptions } from './routes/alerts.js'
import { auditRoutes, type AuditRouteOptions } from './routes/audit.js'
import { boundBodies } from './routes/body-memory.js'
import { answerOddRequests, answerUnreadable, refuseWhileClosing } from './routes/connection.js'
import { takeEncodedBodies } from './routes/content-encoding.js'
import { deliveryRoutes, type DeliveryRouteOptions } from './routes/deliveries.js'
import { eventRoutes, EventWithBody, type EventRouteOptions } from './routes/events.js'
import { ApiKeyWithText, keyRoutes, type KeyRouteOptions } from './routes/keys.js'
import { filterRoutes, type FilterRouteOptions } from './routes/filters.js'
import { takeJson } from './routes/json-body.js'
import { messageRoutes, type MessageRouteOptions } from './routes/messages.js'
import { notePaths } from './routes/methods.js'
import { reportMisdirected } from './routes/misdirected.js'
import { HEALTH_PATH, healthRoutes, opsRoutes, type OpsRouteOptions } from './routes/ops.js'
import { closeParameters } from './routes/parameters.js'
import { previewRoutes, type PreviewRouteOptions } from './routes/preview.js'
import { answerUnroutable, documentRefusals, refuseUnknownPaths, registerProblems } from './routes/problems.js'
import { recoveryRoutes, type RecoveryRouteOptions } from './routes/recoveries.js'
import { ruleMatchRoutes, type RuleMatchRouteOptions } from './routes/rule-matches.js'
import { signingRoutes, type SigningRouteOptions } from './routes/signing.js'
import { snsRoutes, type SnsRouteOptions } from './routes/sns.js'
import { sourceRoutes, type SourceRouteOptions } from './routes/sources.js'
import { topicRoutes, type TopicRouteOptions } from './routes/topics.js'
import { valueRoutes, type ValueRouteOptions } from './routes/values.js'
import { compileValidator } from './routes/validation.js'
import { webhookTestRoutes, type WebhookTestRouteOptions } from './routes/webhook-test.js'
import { ChangedWebhook, webhookRoutes, WebhookWithSecret, type WebhookRouteOptions } from './routes/webhooks.js'
import { createSerializerFactory } from './serializers.js'

export interface HttpOptions
  extends
    SnsRouteOptions,
    TopicRouteOptions,
    WebhookRouteOptions,
    WebhookTestRouteOptions,
    EventRouteOptions,
    RuleMatchRouteOptions,
    MessageRouteOptions,
    AlertRouteOptions,
    ValueRouteOptions,
    DeliveryRouteOptions,
    RecoveryRouteOptions,
    FilterRouteOptions,
    SigningRouteOptions,
    PreviewRouteOptions,
    KeyRouteOptions,
    SourceRouteOptions,
    AuditRouteOptions,
    OpsRouteOptions {
  log: FastifyBaseLogger
  access: Access
  /** A server of its own takes the messages of SNS: see `createIntake`. */
  hasIntake: boolean
  /** Of this process, over all its servers. */
  bodies: BodyBudget
  trustProxy: string[]
}

type BareOptions = Pick<HttpOptions, 'log' | 'bodies' | 'trustProxy'> & Partial<Pick<HttpOptions, 'access' | 'metrics'>>
export type IntakeOptions = BareOptions & SnsRouteOptions

/** The schemas that the OpenAPI document defines once, under their `$id`; the routes refer to them. */
const RESOURCES = [
  WebhookView,
  WebhookWithSecret,
  ChangedWebhook,
  Topic,
  EventSummary,
  EventWithBody,
  Alert,
  AlertWithContext,
  AlertWithSighting,
  AlertValue,
  Delivery,
  AttemptRecord,
  DeliveryWithAttempts,
  Recovery,
  Foreseen,
  OwnSource,
  ApiKey,
  ApiKeyWithText,
  AuditEntry,
]

/**
 * Above this average event loop delay (ms) the process cannot answer SNS in time, so it answers 503 at once and SNS retries.
 * The sample interval is long because a pause longer than one interval leaves it without a value, which the plugin treats as
 * an infinite delay.
 */
const PRESSURE = { maxEventLoopDelay: 1000, sampleInterval: 5000 }
const RETRY_AFTER_S = 5
/** The length of the longest topic ARN, URL-encoded. */
const MAX_PARAM_LENGTH = 600

/** A request has this time to arrive: SNS's arrive within milliseconds, and SNS itself waits 15 s for an answer. */
const ARRIVAL_MS = 10_000
/** How often connections are looked at for that: Node's own 30 s would triple the time. */
const ARRIVAL_CHECK_MS = 1000

/** Builds the server of the API, /docs and the health routes, and of /sns unless that has a server of its own. */
export async function createHttp(options: HttpOptions): Promise<FastifyInstance> {
  return createBareHttp(options, async (http) => {
    for (const resource of RESOURCES) http.addSchema(resource)
    await http.register(swagger, openApiOptions)
    await http.register(swaggerUi, {
      routePrefix: '/docs',
      staticCSP: true,
      // a relay that is served over plain http has no https to upgrade to
      transformStaticCSP: (csp) => csp.replace('upgrade-insecure-requests;', ''),
      uiConfig: { docExpansion: 'none', filter: true, tryItOutEnabled: true },
      theme: { title: 'alert-relay API' },
    })
    await refuseUnderPressure(http)
    /** Anybody may ask for it, so it is made once: it takes as long as some hundred other answers. */
    let document: string | undefined
    http.get('/openapi.json', { schema: { hide: true } }, async (_request, reply) => {
      document ??= JSON.stringify(http.swagger())
      return reply.type('application/json; charset=utf-8').send(document)
    })
    http.get('/', { schema: { hide: true } }, async (_request, reply) => reply.redirect('/docs'))
    if (!options.hasIntake) await http.register(snsRoutes, options)
    await http.register(opsRoutes, options)
    await http.register(async (v1) => addApi(v1, options), { prefix: '/v1' })
  })
}

/** Builds the server that strangers may reach: /sns and /healthz, and nothing else. */
export async function createIntake(options: IntakeOptions): Promise<FastifyInstance> {
  return createBareHttp(options, async (http) => {
    await refuseUnderPressure(http)
    await http.register(healthRoutes)
    await http.register(snsRoutes, options)
  })
}

async function refuseUnderPressure(http: FastifyInstance): Promise<void> {
  await http.register(underPressure, {
    ...PRESSURE,
    async pressureHandler({ routeOptions }, reply) {
      // the process is alive, which is what this route says
      if (routeOptions.url === HEALTH_PATH) return
      reply.header('retry-after', RETRY_AFTER_S)
      throw new Refusal('undecided', 'The service is under pressure; try again.')
    },
  })
}

async function addApi(v1: FastifyInstance, options: HttpOptions): Promise<void> {
  requireKeys(v1, options.guard)
  documentRefusals(v1)
  closeParameters(v1)
  takeJson(v1)
  v1.addHook('onRequest', async ({ url }) => {
    // PostgreSQL's text type cannot hold NUL, so no id or ARN contains it
    if (url.includes('%00')) throw new Refusal('invalid_request', 'The URL must not contain NUL (%00).')
  })
  await v1.register(webhookRoutes, options)
  await v1.register(webhookTestRoutes, options)
  await v1.register(topicRoutes, options)
  await v1.register(eventRoutes, options)
  await v1.register(ruleMatchRoutes, options)
  await v1.register(messageRoutes, options)
  await v1.register(alertRoutes, options)
  await v1.register(valueRoutes, options)
  await v1.register(deliveryRoutes, options)
  await v1.register(recoveryRoutes, options)
  await v1.register(filterRoutes, options)
  await v1.register(signingRoutes, options)
  await v1.register(previewRoutes, options)
  await v1.register(sourceRoutes, options)
  await v1.register(keyRoutes, options)
  await v1.register(auditRoutes, options)
}

/** Builds the server of a process without the API: only the health and metrics routes. */
export async function createWorkerHttp(options: BareOptions & OpsRouteOptions): Promise<FastifyInstance> {
  return createBareHttp(options, async (http) => void (await http.register(opsRoutes, options)))
}

/** Builds the OpenAPI document. The routes get no dependencies, since no request is made to them. */
export async function createDocument(): Promise<object> {
  const parts = { log: createLogger('silent'), bodies: createBodyBudget(0), trustProxy: [], hasIntake: false }
  const http = await createHttp(parts as unknown as HttpOptions)
  try {
    await http.ready()
    return http.swagger()
  } finally {
    await http.close()
  }
}

/** Builds a server with what every process has: problem documents, request ids, request logging and security headers. */
async function createBareHttp(
  { log, access, metrics, bodies, trustProxy }: BareOptions,
  addRoutes: (http: FastifyInstance) => Promise<void>,
): Promise<FastifyInstance> {
  const http = fastify({
    loggerInstance: log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'request_id' }),
    genReqId: ({ headers }) => requestIdOf(headers[REQUEST_ID_HEADER]),
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    schemaController: { compilersFactory: { buildSerializer: createSerializerFactory() } },
    frameworkErrors: answerUnroutable,
    clientErrorHandler: answerUnreadable,
    http: {
      requireHostHeader: false,
      headersTimeout: ARRIVAL_MS,
      connectionsCheckingInterval: ARRIVAL_CHECK_MS,
    },
    requestTimeout: ARRIVAL_MS,
    trustProxy: trustProxy.length > 0 ? trustProxy : false,
    return503OnClosing: false,
  })
  http.setValidatorCompiler(compileValidator)
  const refuseOtherMethods = notePaths(http)
  registerProblems(http)
  http.addHook('onRequest', (request, reply, done) => {
    reply.header(REQUEST_ID_HEADER, request.id)
    done()
  })
  await traceRequests(http, async ({ headers }) => access !== undefined && hasValidKey(access, headers.authorization))
  http.addHook('onResponse', async ({ method, url, routeOptions, log: requestLog }, reply) => {
    metrics?.countRequest({ method, route: routeOptions.url, statusCode: reply.statusCode })
    const line = { method, url, status_code: reply.statusCode, duration_ms: Math.round(reply.elapsedTime) }
    requestLog.debug(line, 'request')
  })
  await http.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] } },
  })
  answerOddRequests(http)
  takeEncodedBodies(http)
  boundBodies(http, bodies)
  refuseWhileClosing(http)
  reportMisdirected(http)
  refuseUnknownPaths(http)
  await addRoutes(http)
  refuseOtherMethods()
  return http
}

async function hasValidKey(access: Access, authorization: string | undefined): Promise<boolean> {
  try {
    await access.identify(authorization)
    return true
  } catch {
    return false
  }
}
