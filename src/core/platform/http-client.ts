/**
 * The SSRF wall: the only way out to webhooks, and the only owner of undici.
 *
 * Promise: no byte reaches an address that address.ts refuses, whatever a URL or a DNS server says; a try ends by its
 * deadline and holds a bounded amount of memory; whatever a receiver or the network does comes back as data.
 *
 * The wall has three gates, all in the connector, because every socket is made there: an address written in the URL
 * (node:net does not look those up), every answer of the DNS (the socket is given only those that passed, so a name
 * that changes its answer between check and use gains nothing), and the address of the peer once connected. Redirects
 * are never followed, proxy variables never read.
 */
import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import type { SecureContext } from 'node:tls'
import { Agent, buildConnector, errors, type Dispatcher } from 'undici'
import { createAddressRule, type AddressRule } from './address.js'
import { messageOf } from './errors.js'
import { storable } from './text.js'
import { createTlsAgents, type TlsMaterial } from './tls-agents.js'

export interface HttpRequest {
  headers: Record<string, string>
  body: string | Buffer
  /** For everything together: DNS, connect, TLS, sending, headers and body of the answer. */
  timeoutMs: number
  /** For a receiver that asks for a client certificate, or whose own is from an authority that is not public. */
  tls?: TlsMaterial
  /** How much of the answer's body is kept, 4 KiB unless told and never more than 64 KiB. */
  keepBytes?: number
}

/**
 * `timeout`: the deadline passed, or nobody answered the connection. `connection_failed`: no DNS answer, no connection,
 * no valid TLS, or it broke before an answer. `target_refused`: the wall. `invalid_response`: an answer that is not HTTP.
 */
export type HttpFailure = 'timeout' | 'connection_failed' | 'target_refused' | 'invalid_response'

/**
 * `body`: its beginning as text, for people to read; what is not UTF-8, and NUL, became U+FFFD. `retryAfter`: that header,
 * as it came, if it is there once and short.
 */
type HttpResult =
  | { kind: 'response'; statusCode: number; retryAfter: string | null; body: string }
  | { kind: HttpFailure; error: string }

export type HttpOutcome = HttpResult & { durationMs: number }

export interface HttpClient {
  /**
   * One POST. The status decides, so it counts from the moment the headers are here: an answer whose body drips past
   * the deadline, breaks off or is too long is still a `response`, with as much of the body as came.
   * Never rejects.
   */
  post(url: string, request: HttpRequest): Promise<HttpOutcome>
  /** Drops every connection; a post in flight ends as `connection_failed`, so drain first. */
  close(): Promise<void>
}

export interface HttpClientOptions {
  /** CIDRs that may be reached although they are not public. */
  allowPrivateTargets: string[]
  /** All addresses of a name; the operating system's resolver unless a test says otherwise. */
  resolve?: (hostname: string) => Promise<LookupAddress[]>
}

/** Reading stops here and the connection is dropped; below it, a read to the end keeps the connection for the next try. */
const MAX_BODY_BYTES = 64 * 1024
const KEPT_BODY_BYTES = 4 * 1024
const MAX_ERROR_LENGTH = 500

/** A connection that is not there by now will not come; the try's own deadline may be earlier. */
const CONNECT_TIMEOUT_MS = 10_000

/**
 * Connections of one origin. An idle one closes after a few seconds whatever the receiver proposes, and undici forgets
 * an origin with its last connection: thousands of webhooks leave nothing behind. After so many requests a busy one is
 * replaced, so that a receiver that moved in the DNS is found again.
 */
const POOL = {
  connections: 128,
  pipelining: 1,
  keepAliveTimeout: 4_000,
  keepAliveMaxTimeout: 10_000,
  maxRequestsPerClient: 1_000,
}

export function createHttpClient({ allowPrivateTargets, resolve = resolveAll }: HttpClientOptions): HttpClient {
  const mayReach = createAddressRule(allowPrivateTargets)
  // undici's own timeouts are off: a slow drip defeats them, and the deadline of the try covers all they do.
  const createAgent = (secureContext?: SecureContext) =>
    new Agent({
      ...POOL,
      headersTimeout: 0,
      bodyTimeout: 0,
      connect: createConnector(mayReach, resolve, secureContext),
    })
  const agents = createTlsAgents(createAgent)
  return {
    async post(url, request) {
      const startedMs = performance.now()
      const result = await agents.use(
        request.tls,
        (agent) => exchange(agent, url, request),
        (error): HttpResult => ({ kind: 'connection_failed', error: `the TLS material is unfit: ${errorText(error)}` }),
      )
      return { ...result, durationMs: Math.round(performance.now() - startedMs) }
    },
    close: () => agents.close(),
  }
}

function exchange(agent: Agent, url: string, request: HttpRequest): Promise<HttpResult> {
  const target = URL.canParse(url) ? new URL(url) : undefined
  if (!target || !/^https?:$/.test(target.protocol)) {
    return Promise.resolve({ kind: 'target_refused', error: 'not an http or https URL' })
  }
  const keepBytes = Math.min(request.keepBytes ?? KEPT_BODY_BYTES, MAX_BODY_BYTES)
  return new Promise((resolve) => {
    const answer: Answer = { retryAfter: null, chunks: [], bytes: 0 }
    let controller: Dispatcher.DispatchController | undefined
    let ended = false

    /** With the answer if its status is here, otherwise with this failure; only the first call counts. */
    const end = (kind: HttpFailure, error: string) => {
      ended = true
      clearTimeout(timer)
      const { statusCode, retryAfter, chunks } = answer
      if (statusCode === undefined) resolve({ kind, error })
      else resolve({ kind: 'response', statusCode, retryAfter, body: textOf(chunks, keepBytes) })
    }
    const giveUp = (kind: HttpFailure, error: string) => {
      end(kind, error)
      controller?.abort(new Error(error))
    }
    // Not AbortSignal.timeout: its timer outlives the request, and undici notices a signal only once it is connected.
    const timer = setTimeout(() => giveUp('timeout', `no answer within ${request.timeoutMs} ms`), request.timeoutMs)

    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(started) {
        controller = started
        if (ended) controller.abort(new Error('the deadline passed before the connection was there'))
      },
      onResponseStart(_, statusCode, headers) {
        if (statusCode < 200) return
        answer.statusCode = statusCode
        answer.retryAfter = shortHeader(headers['retry-after'])
      },
      onResponseData(_, chunk) {
        if (answer.bytes < keepBytes) answer.chunks.push(chunk)
        answer.bytes += chunk.length
        if (answer.bytes > MAX_BODY_BYTES) giveUp('invalid_response', 'the body is too long')
      },
      onResponseEnd: () => end('invalid_response', 'no status'),
      onResponseError: (_, error) => end(failureOf(error), errorText(error)),
    }
    const { headers, body } = request
    agent.dispatch(
      { origin: target.origin, path: target.pathname + target.search, method: 'POST', headers, body },
      handler,
    )
  })
}

/** What has come of an answer. */
interface Answer {
  statusCode?: number
  retryAfter: string | null
  chunks: Buffer[]
  bytes: number
}

function shortHeader(value: string | string[] | undefined): string | null {
  return typeof value === 'string' && value.length <= 100 ? value : null
}

class TargetRefused extends Error {
  constructor(what: string) {
    super(`${what}, not a public address; ALLOW_PRIVATE_TARGETS lists what else webhooks may reach`)
  }
}

function createConnector(
  mayReach: AddressRule,
  resolve: Required<HttpClientOptions>['resolve'],
  secureContext?: SecureContext,
) {
  const connect = buildConnector({
    secureContext,
    lookup: createLookup(mayReach, resolve),
    timeout: CONNECT_TIMEOUT_MS,
    // Makes node:net ask `lookup` for every address and try them in turn (RFC 8305), each for this long: the default
    // of 250 ms is less than a connection around the world takes.
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 1_000,
  })
  const guarded: buildConnector.connector = (options, callback) => {
    if (isIP(options.hostname) !== 0 && !mayReach(options.hostname)) {
      // In a later tick, like every other failure: undici is in the middle of asking for this connection.
      process.nextTick(callback, new TargetRefused(`the target is ${options.hostname}`), null)
      return
    }
    connect(options, (error, socket) => {
      if (error) return callback(error, null)
      const peer = socket.remoteAddress
      if (peer !== undefined && mayReach(peer)) return callback(null, socket)
      socket.destroy()
      callback(peer ? new TargetRefused(`connected to ${peer}`) : new Error('closed as soon as connected'), null)
    })
  }
  return guarded
}

/** A lookup that hands node:net the addresses that passed, all of them; the refused ones never leave this function. */
function createLookup(mayReach: AddressRule, resolve: Required<HttpClientOptions>['resolve']): LookupFunction {
  return (hostname, _options, callback) => {
    resolve(hostname).then(
      (answers) => {
        const passed = answers.filter(({ address }) => mayReach(address))
        if (passed.length > 0) return callback(null, passed)
        const found = answers.map(({ address }) => address).join(', ') || 'nothing'
        callback(new TargetRefused(`${hostname} resolves to ${found}`), [])
      },
      (error: Error) => callback(error, []),
    )
  }
}

function resolveAll(hostname: string): Promise<LookupAddress[]> {
  return lookup(hostname, { all: true })
}

function failureOf(error: Error & { code?: string }): HttpFailure {
  if (error instanceof TargetRefused) return 'target_refused'
  if (error instanceof errors.ConnectTimeoutError || error.code === 'ETIMEDOUT') return 'timeout'
  if (error instanceof errors.HTTPParserError || error instanceof errors.HeadersOverflowError) return 'invalid_response'
  return 'connection_failed'
}

/** What undici and node:net say names hosts, addresses and codes, never a path, a query or a header's value. */
function errorText(error: Error): string {
  const message = error instanceof AggregateError ? error.errors.map(messageOf).join('; ') : messageOf(error)
  return storable(message).slice(0, MAX_ERROR_LENGTH)
}

function textOf(chunks: Buffer[], keepBytes: number): string {
  return storable(Buffer.concat(chunks).subarray(0, keepBytes).toString('utf8'))
}
