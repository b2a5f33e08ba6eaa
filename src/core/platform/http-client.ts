/**
 * The HTTP client for webhooks: one request, with one deadline for all of it.
 *
 * Guarantee: connections go through connector.ts alone, redirects are not followed, and proxy variables are not read. A
 * request ends by its deadline and uses a bounded amount of memory. What a receiver or the network does is returned as
 * data.
 */
import type { SecureContext } from 'node:tls'
import { errors, Pool, type Dispatcher } from 'undici'
import { createAddressRule } from './address.js'
import { InvalidAnswer, MAX_HEAD_BYTES } from './answer-head.js'
import { createConnector, TargetRefused, type Resolve } from './connector.js'
import { messageOf } from './errors.js'
import { createOriginPools, type OriginPools } from './origin-pools.js'
import { breakOf } from './socket-watch.js'
import { storable } from './text.js'
import { createTlsAgents, type TlsMaterial } from './tls-agents.js'

export interface HttpRequest {
  headers: Record<string, string>
  body: string | Buffer
  /** From the DNS query to the last byte of the answer. */
  timeoutMs: number
  /** For a receiver that requires a client certificate, or whose certificate is not from a public authority. */
  tls?: TlsMaterial
  /** How much of the answer's body is kept: 4 KiB by default, at most 64 KiB. */
  keepBytes?: number
  /** True for what must not be done twice by one attempt: it is not sent again where its reused connection broke. */
  sendOnce?: boolean
}

/**
 * `timeout`: the deadline passed, or the connection was not answered. `connection_failed`: no DNS answer, no
 * connection, no valid TLS, or the connection broke before an answer. `target_refused`: connector.ts refused the
 * address. `invalid_response`: an answer that is not HTTP.
 */
export type HttpFailure = 'timeout' | 'connection_failed' | 'target_refused' | 'invalid_response'

/**
 * `body`: its beginning as text; NUL and what is not UTF-8 became U+FFFD. `retryAfter`: that header as received, if it
 * is there once and short. `final`: why the same request can never succeed, in one line; an HTTP answer never says that.
 */
type HttpResult =
  | { kind: 'response'; statusCode: number; retryAfter: string | null; body: string; final?: string }
  | { kind: HttpFailure; error: string }

/**
 * `answerLost`: a request was sent, wholly or in part, and its answer did not come, or broke off where its body could still
 * matter (2xx). The receiver may have taken it.
 */
export type HttpOutcome = HttpResult & { durationMs: number; answerLost: boolean }

export interface HttpClient {
  /**
   * Sends one POST. Once the headers have arrived the result is a `response`, with as much of the body as was received,
   * even if the body passes the deadline, breaks off or is too long. Never rejects.
   *
   * A receiver may close an idle connection while a request is being sent on it. So a request whose reused connection
   * broke before the first byte of an answer is sent once more, on a new connection and by the same deadline: a receiver
   * may get it twice.
   */
  post(url: string, request: HttpRequest): Promise<HttpOutcome>
  /** Sends one GET, as `post` does. */
  get(url: string, request: Omit<HttpRequest, 'body'>): Promise<HttpOutcome>
  /** Closes every connection; a post in flight ends as `connection_failed`. */
  close(): Promise<void>
}

export interface HttpClientOptions {
  /** CIDRs that may be reached although they are not public. */
  allowPrivateTargets: string[]
  /** Default: the operating system's resolver. */
  resolve?: Resolve
  /** Default: 60,000. */
  maxConnectionAgeMs?: number
}

/** A longer body closes the connection; a shorter one is read to its end, so that the connection can be reused. */
export const MAX_BODY_BYTES = 64 * 1024
export const KEPT_BODY_BYTES = 4 * 1024
const MAX_ERROR_LENGTH = 500

/** An older connection gets no request, so that a changed DNS answer is noticed whatever the traffic. */
const MAX_CONNECTION_AGE_MS = 60_000

/**
 * The connections of one origin: as many as it has requests, which the limiter bounds. An idle one closes after a few seconds, whatever the receiver's Keep-Alive header
 * says. undici's timeouts are off: a receiver that sends a byte now and then resets them, and the deadline covers all of
 * it.
 */
const POOL = {
  connections: null,
  pipelining: 1,
  keepAliveTimeout: 4_000,
  keepAliveMaxTimeout: 10_000,
  headersTimeout: 0,
  bodyTimeout: 0,
  maxHeaderSize: MAX_HEAD_BYTES,
}

export function createHttpClient({
  allowPrivateTargets,
  resolve,
  maxConnectionAgeMs = MAX_CONNECTION_AGE_MS,
}: HttpClientOptions): HttpClient {
  const mayReach = createAddressRule(allowPrivateTargets)
  const createPools = (secureContext?: SecureContext) => {
    const connect = createConnector({ mayReach, resolve, secureContext })
    return createOriginPools({
      create: (origin) => new Pool(origin, { ...POOL, connect }),
      maxAgeMs: maxConnectionAgeMs,
    })
  }
  const agents = createTlsAgents(createPools)
  async function request(url: string, options: Omit<TimedRequest, 'deadlineMs'>): Promise<HttpOutcome> {
    const startedMs = performance.now()
    const result = await agents.use(
      options.tls,
      (pools) => exchange(pools, url, { ...options, deadlineMs: startedMs + options.timeoutMs }),
      (error): Exchanged => ({
        ...{ kind: 'connection_failed', error: `the TLS material is unfit: ${errorText(error)}` },
        answerLost: false,
      }),
    )
    return { ...result, durationMs: Math.round(performance.now() - startedMs) }
  }
  return {
    post: (url, options) => request(url, { ...options, method: 'POST' }),
    get: (url, options) => request(url, { ...options, method: 'GET' }),
    close: () => agents.close(),
  }
}

/** `deadlineMs`: on the clock of performance.now(). */
type TimedRequest = Omit<HttpRequest, 'body'> & { method: 'GET' | 'POST'; body?: string | Buffer; deadlineMs: number }

type Exchanged = HttpResult & { answerLost: boolean }

async function exchange(pools: OriginPools<Pool>, url: string, request: TimedRequest): Promise<Exchanged> {
  const target = URL.canParse(url) ? new URL(url) : undefined
  if (!target || !/^https?:$/.test(target.protocol)) {
    return { kind: 'target_refused', error: 'not an http or https URL', answerLost: false }
  }
  const sendOn = (pool: Pool) => send(pool, target, request)
  const first = await pools.use(target.origin, sendOn)
  if (!first.isStale || request.sendOnce) return first.result
  const { result } = await pools.useFresh(target.origin, sendOn)
  return { ...result, answerLost: true }
}

/** The result on one connection. `isStale`: it was a reused one and broke before the first byte of an answer. */
interface Sent {
  result: Exchanged
  isStale: boolean
}

function send(pool: Pool, target: URL, request: TimedRequest): Promise<Sent> {
  const keepBytes = Math.min(request.keepBytes ?? KEPT_BODY_BYTES, MAX_BODY_BYTES)
  return new Promise((resolve) => {
    const answer: Answer = { retryAfter: null, chunks: [], bytes: 0, isWhole: false }
    let controller: Dispatcher.DispatchController | undefined
    let ended = false

    /** Resolves with the answer if its status was received, otherwise with this failure. Only the first call counts. */
    const end = (kind: HttpFailure, error: string, isStale = false) => {
      ended = true
      clearTimeout(timer)
      const { statusCode, retryAfter, chunks, isWhole } = answer
      const isDecided = isWhole || (statusCode !== undefined && statusCode >= 300)
      // undici starts a request once it has a connection, and writes it then.
      const answerLost = controller !== undefined && !isDecided
      if (statusCode === undefined) return resolve({ result: { kind, error, answerLost }, isStale })
      const body = textOf(chunks, keepBytes)
      resolve({ result: { kind: 'response', statusCode, retryAfter, body, answerLost }, isStale })
    }
    const abort = (kind: HttpFailure, error: string) => {
      end(kind, error)
      controller?.abort(new Error(error))
    }
    // Not AbortSignal.timeout: its timer outlives the request, and undici observes a signal only once it is connected.
    const timer = setTimeout(
      () => abort('timeout', `no answer within ${request.timeoutMs} ms`),
      Math.max(0, request.deadlineMs - performance.now()),
    )

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started
        if (ended) controller.abort(new Error('the deadline passed before the connection was made'))
      },
      onResponseStart(_, statusCode, headers) {
        if (statusCode < 200) return
        answer.statusCode = statusCode
        answer.retryAfter = shortHeader(headers['retry-after'])
      },
      onResponseData(_, chunk) {
        if (answer.bytes < keepBytes) answer.chunks.push(chunk)
        answer.bytes += chunk.length
        if (answer.bytes > MAX_BODY_BYTES) abort('invalid_response', 'the body is too long')
      },
      onResponseEnd() {
        answer.isWhole = true
        end('invalid_response', 'no status')
      },
      onResponseError: (_, error) => end(failureOf(error), errorText(error), breakOf(error)?.isStale),
    }
    const { method, headers, body } = request
    pool.dispatch({ path: target.pathname + target.search, method, headers, body }, handler)
  })
}

/** What was received of an answer so far. */
interface Answer {
  statusCode?: number
  retryAfter: string | null
  chunks: Buffer[]
  bytes: number
  isWhole: boolean
}

function shortHeader(value: string | string[] | undefined): string | null {
  return typeof value === 'string' && value.length <= 1_000 ? value : null
}

const INVALID_ANSWERS = [
  InvalidAnswer,
  errors.HTTPParserError,
  errors.HeadersOverflowError,
  errors.ResponseContentLengthMismatchError,
]

function failureOf(error: Error & { code?: string }): HttpFailure {
  if (error instanceof TargetRefused) return 'target_refused'
  if (error instanceof errors.ConnectTimeoutError || error.code === 'ETIMEDOUT') return 'timeout'
  return INVALID_ANSWERS.some((type) => error instanceof type) ? 'invalid_response' : 'connection_failed'
}

/**
 * Safe to store: messages of undici and node:net have hosts, addresses and codes, never a path, a query or a header's
 * value.
 */
function errorText(error: Error): string {
  let message = error instanceof AggregateError ? error.errors.map(messageOf).join('; ') : messageOf(error)
  // Without a status the fault is in the head, not in the length of the body.
  if (error instanceof errors.ResponseContentLengthMismatchError) message = breakOf(error)?.headFault() ?? message
  return storable(message).slice(0, MAX_ERROR_LENGTH)
}

function textOf(chunks: Buffer[], keepBytes: number): string {
  return storable(Buffer.concat(chunks).subarray(0, keepBytes).toString('utf8'))
}
