/**
 * Traces (OpenTelemetry): an event's way from SNS to its receivers is one trace, in whatever process and however late a
 * part of it runs. The only owner of OpenTelemetry's packages.
 *
 * Promise: without OTEL_* settings nothing but the small API is loaded, and a span costs one `if`. Spans hold ids and words
 * of fixed sets: no URL's path, no text of an error, nothing of an alert. A collector that is away costs spans alone.
 *
 * Like OpenTelemetry itself, traces are on or off for a whole process.
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
  /** Sends what was not sent yet, for a few seconds at most, and turns traces off. Never rejects. */
  close(): Promise<void>
}

export interface TracingOptions {
  log: FastifyBaseLogger
  /** Takes every span as it ends; a test's. Otherwise spans go in batches to where the environment says. */
  exporter?: SpanExporter
}

export interface NewSpan {
  /** One of a few. */
  name: string
  kind?: 'internal' | 'client' | 'producer'
  /** The trace that the work belongs to, as a `traceparent`; null or none: that of its caller. */
  parent?: string | null | undefined
  /** Asked for only when traces are on. */
  attributes?: () => Attributes
}

/** A span under way. */
export interface OpenSpan {
  /** What tells others of it (W3C Trace Context); null when traces are off. */
  traceparent: string | null
  set(attributes: Attributes): void
  /** Says that the work failed. @param type what went wrong: one of a few words, or a status */
  fail(type: string): void
}

/** What is there while traces are on. */
interface Instruments {
  queues: InstanceType<typeof import('bullmq-otel').BullMQOtel>
  http: InstanceType<typeof import('@fastify/otel').FastifyOtelInstrumentation>
}

const SCOPE = 'alert-relay'
const BULLMQ = 'bullmq'
const CLOSE_TIMEOUT_MS = 5_000
/** Requests that a trace begins with; not probes, scrapes and documents. */
const TRACED_PATHS = /^\/(sns|v1)(?![\w-])/
const KINDS = { internal: SpanKind.INTERNAL, client: SpanKind.CLIENT, producer: SpanKind.PRODUCER }
const NO_SPAN: OpenSpan = { traceparent: null, set() {}, fail() {} }

let instruments: Instruments | undefined

/**
 * Whether the environment asks for traces: it names a collector or an exporter, and does not say that there be none.
 * https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 * @throws SettingError when it asks for what is not there
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

/** Turns traces on. To be called before the application is built. The rest of OTEL_* is read by OpenTelemetry's SDK. */
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
    log.warn({ details: [message, ...details] }, 'traces: trouble')
  diag.setLogger({ error: warn, warn, info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN)
  const processor = exporter
    ? new sdk.SimpleSpanProcessor(exporter)
    : new sdk.BatchSpanProcessor(new otlp.OTLPTraceExporter())
  const provider = new sdk.NodeTracerProvider({
    resource: resources
      .defaultResource()
      .merge(resources.resourceFromAttributes({ 'service.name': SCOPE, 'service.version': VERSION }))
      .merge(resources.detectResources({ detectors: [resources.envDetector] })),
    spanProcessors: [withoutNoise(processor)],
  })
  // no baggage: what a stranger sends along with a request is not carried on
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
 * Does the work inside a span. Work that was found again (a retry, what upkeep brought back) has a caller of another trace:
 * it joins the trace it belongs to, with a link to its caller.
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

/** The trace that is under way here, to be kept with what belongs to it; null when there is none. */
export function activeTraceparent(): string | null {
  return instruments ? traceparentOf(context.active()) : null
}

/** For a loop that goes on when the work that began it is long over: it belongs to no trace. */
export function outsideTraces<T>(work: () => T): T {
  return instruments ? context.with(ROOT_CONTEXT, work) : work()
}

/** BullMQ's `telemetry` option: a job continues the trace that added it. */
export function queueTelemetry(): { telemetry?: Instruments['queues'] } {
  return instruments ? { telemetry: instruments.queues } : {}
}

/**
 * Every request under /v1 and /sns is a span. To be called before the routes are added.
 * @param isKnown whether a request may say which trace it belongs to, and so that it be recorded: a stranger may not
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
  // reading a body ends in another context
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

/** Without what BullMQ does for itself all day (looking for jobs, renewing locks), and without the texts of errors and results. */
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
