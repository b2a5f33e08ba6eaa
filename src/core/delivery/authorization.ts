/**
 * The authorization header of an attempt: basic, bearer, or a bearer token from the OAuth 2.0 client credentials grant.
 *
 * Guarantee: a token endpoint is requested through the SSRF filter, one request at a time for each webhook, at most once in
 * the cooldown while it fails, and not again while its token is valid. Whatever it answers is a result, and no error
 * repeats a secret.
 */
import { createHash } from 'node:crypto'
import { withDeadline } from '../platform/deadline.js'
import { messageOf } from '../platform/errors.js'
import type { HttpClient, HttpOutcome } from '../platform/http-client.js'
import { isJsonObject, parseJson, type Json } from '../platform/json.js'
import { VERSION } from '../platform/version.js'
import type { Auth } from '../webhook/credentials.js'

export type Authorization =
  | { ok: true; headers: Record<string, string> }
  /** One line, without secrets. */
  | { ok: false; error: string }

export interface Authorizer {
  /**
   * The headers that authenticate the sender. Never rejects: without a token after `timeoutMs` the result is an error; a
   * token that arrives later is kept for the next attempt.
   */
  headersFor(webhookId: string, auth: Auth | null, timeoutMs: number): Promise<Authorization>
  /**
   * To be called when a receiver answered 401: the next attempt gets a new token. A token younger than the cooldown is
   * kept: the 401 may be for the token before it, and a receiver that refuses every token must not cause a request each.
   */
  forget(webhookId: string, auth: Auth | null): void
}

type OAuth2 = Extract<Auth, { type: 'oauth2' }>

/** The timeout of one token request, independent of the attempts that wait for it. */
const TOKEN_TIMEOUT_MS = 10_000
/** Tokens with many claims take some 10 KiB; receivers refuse headers much larger than that. */
const MAX_ANSWER_BYTES = 32 * 1024
const MAX_TOKEN_LENGTH = 12_000

/** The least time between two requests, after a failure and for tokens with a shorter lifetime. */
const COOLDOWN_MS = 5_000
/** For answers without expires_in, whose lifetime only the server's documentation says (RFC 6749 section 5.1). */
const UNKNOWN_LIFETIME_MS = 5 * 60_000
/** A token without a usable end is requested again once a day. */
const MAX_LIFETIME_MS = 24 * 3600_000
/** A token is replaced this long before its end, or a tenth of its lifetime: an attempt takes up to 30 s, and clocks differ. */
const MARGIN_MS = 60_000

const MAX_ENTRIES = 1_000

interface Entry {
  authorization: Promise<Authorization>
  requestedAt: number
  /** When it is requested again, in milliseconds since 1970; Infinity while the request is in flight. */
  expires: number
  hasToken: boolean
}

/** The answer of a token endpoint: a token and its lifetime, or what was wrong. */
type Answer = { token: string; lifetimeMs: number } | { error: string }

export function createAuthorizer({ http, now = Date.now }: { http: HttpClient; now?: () => number }): Authorizer {
  /** By webhook and credentials, the least recently used first. */
  const entries = new Map<string, Entry>()

  function request(auth: OAuth2): Entry {
    const requestedAt = now()
    const entry: Entry = { requestedAt, expires: Infinity, hasToken: false, authorization: Promise.resolve(NO_HEADERS) }
    entry.authorization = requestToken(http, auth).then((answer) => {
      if ('error' in answer) {
        entry.expires = now() + COOLDOWN_MS
        return { ok: false, error: answer.error }
      }
      entry.hasToken = true
      entry.expires = requestedAt + cacheMsFor(answer.lifetimeMs)
      return { ok: true, headers: { authorization: `Bearer ${answer.token}` } }
    })
    return entry
  }

  function tokenFor(webhookId: string, auth: OAuth2): Promise<Authorization> {
    const key = keyOf(webhookId, auth)
    const known = entries.get(key)
    const entry = known && known.expires > now() ? known : request(auth)
    entries.delete(key)
    const [oldest] = entries.keys()
    if (oldest !== undefined && entries.size >= MAX_ENTRIES) entries.delete(oldest)
    entries.set(key, entry)
    return entry.authorization
  }

  return {
    async headersFor(webhookId, auth, timeoutMs) {
      if (auth?.type !== 'oauth2') return { ok: true, headers: auth ? { authorization: staticHeader(auth) } : {} }
      return withDeadline(tokenFor(webhookId, auth), timeoutMs, 'the token endpoint').catch((error): Authorization => ({
        ok: false,
        error: messageOf(error),
      }))
    },
    forget(webhookId, auth) {
      if (auth?.type !== 'oauth2') return
      const key = keyOf(webhookId, auth)
      const entry = entries.get(key)
      if (entry?.hasToken && now() - entry.requestedAt >= COOLDOWN_MS) entries.delete(key)
    },
  }
}

const NO_HEADERS: Authorization = { ok: true, headers: {} }

function staticHeader(auth: Exclude<Auth, OAuth2>): string {
  return auth.type === 'basic' ? basic(auth.username, auth.password) : `Bearer ${auth.token}`
}

/** RFC 7617, in UTF-8. */
function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

/** Changed credentials get a new key, so a new token. It is a digest, so that keys hold no secrets. */
function keyOf(webhookId: string, auth: OAuth2): string {
  const { scope, audience } = auth
  const client = [auth.token_url, auth.client_id, auth.client_secret, auth.client_auth]
  const content = JSON.stringify([webhookId, ...client, scope, audience])
  return createHash('sha256').update(content).digest('base64')
}

function cacheMsFor(lifetimeMs: number): number {
  const lifetime = Math.min(lifetimeMs, MAX_LIFETIME_MS)
  return Math.max(lifetime - Math.min(MARGIN_MS, lifetime / 10), COOLDOWN_MS)
}

/** RFC 6749 section 4.4.2; the client authenticates as in section 2.3.1. */
async function requestToken(http: HttpClient, auth: OAuth2): Promise<Answer> {
  const { client_id: id, client_secret: secret, scope, audience, client_auth: clientAuth = 'basic' } = auth
  const form = {
    grant_type: 'client_credentials',
    ...(scope === undefined ? {} : { scope }),
    ...(audience === undefined ? {} : { audience }),
    ...(clientAuth === 'body' ? { client_id: id, client_secret: secret } : {}),
  }
  const headers = {
    accept: 'application/json',
    'content-type': 'application/x-www-form-urlencoded',
    'user-agent': `alert-relay/${VERSION}`,
    ...(clientAuth === 'basic' ? { authorization: basic(formEncoded(id), formEncoded(secret)) } : {}),
  }
  const body = new URLSearchParams(form).toString()
  const request = { headers, body, timeoutMs: TOKEN_TIMEOUT_MS, keepBytes: MAX_ANSWER_BYTES }
  return readAnswer(await http.post(auth.token_url, request))
}

function formEncoded(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}

/** RFC 6749 sections 5.1 and 5.2. Only error codes that the RFC lists are repeated: other text may echo the secret. */
function readAnswer(outcome: HttpOutcome): Answer {
  if (outcome.kind !== 'response') return { error: `no token: ${outcome.error}` }
  const json = parsed(outcome.body)
  const answer = isJsonObject(json) ? json : {}
  if (outcome.statusCode !== 200) {
    const code = ERROR_CODES.find((known) => known === answer.error)
    return { error: `no token: the token endpoint answered ${outcome.statusCode}${code ? ` ${code}` : ''}` }
  }
  const { access_token: token, token_type: type, expires_in: expiresIn } = answer
  if (typeof token !== 'string' || !/^[!-~]+$/.test(token) || token.length > MAX_TOKEN_LENGTH) {
    return { error: 'no token: the answer of the token endpoint has no access_token that can be sent' }
  }
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer') {
    return { error: 'no token: the token endpoint gave one of another token_type than bearer' }
  }
  return { token, lifetimeMs: lifetimeOf(expiresIn) }
}

const ERROR_CODES = [
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
]

function parsed(text: string): Json | undefined {
  try {
    return parseJson(text)
  } catch {
    return undefined
  }
}

/** expires_in in milliseconds; some servers send the number of seconds as a string. */
function lifetimeOf(expiresIn: Json | undefined): number {
  const text = isJsonObject(expiresIn) || Array.isArray(expiresIn) ? '' : String(expiresIn)
  return /^\d{1,15}(\.\d{1,15})?$/.test(text) ? Number(text) * 1000 : UNKNOWN_LIFETIME_MS
}
