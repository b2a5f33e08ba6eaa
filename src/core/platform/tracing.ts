/**
 * Traces (OpenTelemetry): what happens to an event from SNS to its receivers is one trace, in any process and at any
 * time. Traces are on or off for a whole process, as OpenTelemetry is.
 *
 * Guarantee: without OTEL_* settings only OpenTelemetry's API package is loaded, and a span costs one `if`. Spans hold
 * ids and words from fixed lists: no path of a URL, no text of an error, no content of an alert. While the collector is
 * down, spans are lost and nothing else is affected.
 */
import {
  context,
  diag,
  DiagLogLevel,
  propagation,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Link,
} from '@opentelemetry/api'
import type { SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-node'
import type { FastifyBaseLogger, FastifyInstance, FastifyRequest } from 'fastify'
import { withDeadline } from './deadline.js'
import { SettingError } from './errors.js'
import { VERSION } from './version.js'

export interface Tracing {
  /** Sends the remaining spans, for a few seconds at most, and turns traces off. Never rejects. */
  close(): Promise<void>
}

export interface TracingOptions {
  log: FastifyBaseLogger
  /**
   * Receives every span as it ends, for tests. Default: spans are sent in batches to the collector of the environment.
   */
  exporter?: SpanExporter
}

export interface NewSpan {
  /** From a fixed list. */
  name: string
  kind?: 'internal' | 'client' | 'producer'
  /** The trace that the work belongs to, as a `traceparent`; null or undefined: the trace of the caller. */
  parent?: string | null | undefined
  /** Called only when traces are on. */
  attributes?: () => Attributes
}

/** A span that has not ended. */
export interface OpenSpan {
  /** Its W3C Trace Context, to pass on; null when traces are off. */
  traceparent: string | null
  set(attributes: Attributes): void
  /** Marks the span as failed. @param type the kind of failure: a word from a fixed list, or a status */
  fail(type: string): void
}

/** Set while traces are on. */
interface Instruments {
  queues: InstanceType<typeof import('bullmq-otel').BullMQOtel>
  http: InstanceType<typeof import('@fastify/otel').FastifyOtelInstrumentation>
}

const SCOPE = 'alert-relay'
const BULLMQ = 'bullmq'
const CLOSE_TIMEOUT_MS = 5_000
/** Requests that are traced; probes, scrapes and documents are not. */
const TRACED_PATHS = /^\/(sns|v1)(?![\w-])/
const KINDS = { internal: SpanKind.INTERNAL, client: SpanKind.CLIENT, producer: SpanKind.PRODUCER }
const NO_SPAN: OpenSpan = { traceparent: null, set() {}, fail() {} }

let instruments: Instruments | undefined

/**
 * Whether the environment turns traces on: it names a collector or an exporter and does not disable them.
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 * @throws SettingError when it names an exporter or protocol that is not supported
 */
export function wantsTraces(environment: Record<string, string | undefined>): boolean {
  const value = (name: string) => environment[name]?.trim() ?? ''
  const exporter = value('OTEL_TRACES_EXPORTER')
  if (value('OTEL_SDK_DISABLED').toLowerCase() === 'true' || exporter === 'none') return false
  if (!exporter && !value('OTEL_EXPORTER_OTLP_ENDPOINT') && !value('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')) return false
  if (!['', 'otlp'].includes(exporter)) throw new SettingError('OTEL_TRACES_EXPORTER must be otlp or none')
  const protocol = value('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') || value('OTEL_EXPORTER_OTLP_PROTOCOL')
  if (protocol === 'grpc') {
    throw new SettingError(
      'OTEL_EXPORTER_OTLP_PROTOCOL must be http/json: spans are sent over HTTP (port 4318), not gRPC',
    )
  }
  return true
}

/** Turns traces on; must be called before the application is built. OpenTelemetry's SDK reads the rest of OTEL_*. */
export async function startTracing({ log, exporter }: TracingOptions): Promise<Tracing> {
  const [sdk, { W3CTraceContextPropagator }, resources, otlp, bullmq, fastify] = await Promise.all([
    import('@opentelemetry/sdk-trace-node'),
    import('@opentelemetry/core'),
    import('@opentelemetry/resources'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('bullmq-otel'),
    import('@fastify/otel'),
  ])
  const warn = (message: string, ...details: unknown[]) =>
    log.warn({ details: [message, ...details] }, 'traces: a problem in OpenTelemetry')
  diag.setLogger({ error: warn, warn, info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN)
  const processor = exporter
    ? new sdk.SimpleSpanProcessor(exporter)
    : new sdk.BatchSpanProcessor(new otlp.OTLPTraceExporter())
  const provider = new sdk.NodeTracerProvider({
    resource: resources
      .defaultResource()
      .merge(resources.resourceFromAttributes({ 'service.name': SCOPE, 'service.version': VERSION }))
      // of two processes of one service; OTEL_RESOURCE_ATTRIBUTES may name another
      .merge(resources.detectResources({ detectors: [resources.serviceInstanceIdDetector, resources.envDetector] })),
    spanProcessors: [withoutNoise(processor)],
  })
  // No baggage propagator: baggage of unauthenticated requests must not be forwarded.
  provider.register({ propagator: new W3CTraceContextPropagator() })
  instruments = {
    queues: new bullmq.BullMQOtel({ tracerName: BULLMQ, version: VERSION }),
    http: new fastify.FastifyOtelInstrumentation({
      ignorePaths: ({ url }) => !TRACED_PATHS.test(url),
      recordExceptions: false,
      instrumentHooks: false,
      instrumentHandler: false,
      requestHook(span, { method, routeOptions: { url: route = '' } }) {
        span.updateName(`${method} ${route}`)
        span.setAttribute('url.path', route)
      },
    }),
  }
  return {
    async close() {
      instruments = undefined
      await withDeadline(provider.shutdown(), CLOSE_TIMEOUT_MS, 'sending the last spans').catch((error: unknown) =>
        log.warn({ err: error }, 'traces: the last spans were not sent'),
      )
      for (const api of [trace, context, propagation, diag]) api.disable()
    },
  }
}

/**
 * Runs the work inside a span. A retry, or work that upkeep queued again, has a caller of another trace: its span joins
 * the trace of its event (`parent`) and links to the caller.
 */
export async function inSpan<T>(
  { name, kind = 'internal', parent, attributes }: NewSpan,
  work: (span: OpenSpan) => Promise<T>,
): Promise<T> {
  if (!instruments) return work(NO_SPAN)
  const origin = originOf(parent)
  const span = trace
    .getTracer(SCOPE, VERSION)
    .startSpan(
      name,
      { kind: KINDS[kind], links: origin.links, ...(attributes && { attributes: attributes() }) },
      origin.context,
    )
  const own = trace.setSpan(origin.context, span)
  const open: OpenSpan = {
    traceparent: traceparentOf(own),
    set: (more) => void span.setAttributes(more),
    fail: (type) => void span.setAttribute('error.type', type).setStatus({ code: SpanStatusCode.ERROR }),
  }
  try {
    return await context.with(own, () => work(open))
  } catch (error) {
    open.fail(error instanceof Error ? error.name : 'error')
    throw error
  } finally {
    span.end()
  }
}

/** The active trace as a `traceparent`, to be stored with an event; null when there is none. */
export function activeTraceparent(): string | null {
  return instruments ? traceparentOf(context.active()) : null
}

/** The fields of a log line that name a trace: of a `traceparent`, or else the one that the caller is in; none without one. */
export function traceFields(traceparent: string | null = activeTraceparent()): { trace_id?: string } {
  const traceId = traceparent?.split('-')[1]
  return traceId === undefined ? {} : { trace_id: traceId }
}

/** Runs work outside any trace: a loop that outlives its caller must not stay in the trace of the caller. */
export function outsideTraces<T>(work: () => T): T {
  return instruments ? context.with(ROOT_CONTEXT, work) : work()
}

/** BullMQ's `telemetry` option: a job continues the trace that added it. */
export function queueTelemetry(): { telemetry?: Instruments['queues'] } {
  return instruments ? { telemetry: instruments.queues } : {}
}

/**
 * Makes every request under /v1 and /sns a span; must be called before the routes are added.
 * @param isKnown whether a request is authenticated; the `traceparent` of one that is not is ignored, since it decides
 *   whether spans are recorded
 */
export async function traceRequests(
  http: FastifyInstance,
  isKnown: (request: FastifyRequest) => Promise<boolean>,
): Promise<void> {
  if (!instruments) return
  http.addHook('onRequest', async (request) => {
    if (request.headers.traceparent !== undefined && !(await isKnown(request))) delete request.headers.traceparent
  })
  await http.register(instruments.http.plugin())
  // Reading the body leaves the context of the span: it is entered again for the handler.
  http.addHook('preHandler', (request, _reply, done) => {
    context.with(request.opentelemetry().context ?? context.active(), done)
  })
}

function originOf(parent: string | null | undefined): { context: Context; links: Link[] } {
  const active = context.active()
  if (!parent) return { context: active, links: [] }
  const remote = propagation.extract(ROOT_CONTEXT, { traceparent: parent })
  const caller = trace.getSpanContext(active)
  if (!caller) return { context: remote, links: [] }
  const isSame = caller.traceId === trace.getSpanContext(remote)?.traceId
  return isSame ? { context: active, links: [] } : { context: remote, links: [{ context: caller }] }
}

function traceparentOf(of: Context): string | null {
  const carrier: { traceparent?: string } = {}
  propagation.inject(of, carrier)
  return carrier.traceparent ?? null
}

/**
 * Drops BullMQ's internal spans (polling for jobs, renewing locks), and the texts of errors and results in all spans.
 */
function withoutNoise(processor: SpanProcessor): SpanProcessor {
  return {
    onStart: (span, parent) => processor.onStart(span, parent),
    onEnding(span) {
      if (span.status.message !== undefined) span.setStatus({ code: span.status.code })
    },
    onEnd(span) {
      const { kind, parentSpanContext: parent, instrumentationScope: scope, events } = span
      events.length = 0
      if (scope.name !== BULLMQ || kind !== SpanKind.INTERNAL || parent) processor.onEnd(span)
    },
    forceFlush: () => processor.forceFlush(),
    shutdown: () => processor.shutdown(),
  }
}
