/**
 * Validation of a webhook's credentials beyond their schemas. Pure.
 *
 * Guarantee: credentials without an error can be sent: no header is injected or replaces one of the relay's own, and a
 * client certificate has its key. An error names its field and quotes no secret.
 */
import { createSecureContext } from 'node:tls'
import type { TSchema } from 'typebox'
import type { FieldError } from '../platform/errors.js'
import { memberPath } from '../platform/json-pointer.js'
import type { TlsMaterial } from '../platform/tls-agents.js'
import { expiryOf, readCertificates, readPrivateKey } from './certificate-pem.js'
import { AUTH_TYPES, tlsMaterialOf, type Auth, type Credentials, type Headers, type TlsTexts } from './credentials.js'
import { webUrlProblem } from './web-url.js'

/**
 * Checks what the schemas cannot express; lengths are theirs. To be called only when credentials or the URL change: a
 * certificate that has expired since must not block other changes.
 * @returns the errors, each with a JSON pointer into the webhook; empty for valid credentials
 */
export function checkCredentials({
  headers,
  auth,
  tls,
  url,
  now,
}: Credentials & { url: string; now: Date }): FieldError[] {
  return [
    ...headerErrors(headers, auth !== null),
    ...(auth === null ? [] : authErrors(auth)),
    ...(tls === null ? [] : tlsErrors(tls, now)),
    ...targetErrors({ headers, auth, tls }, url),
  ]
}

/** RFC 9110 section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/
/** RFC 9110 section 5.5 without tabs, and without leading or trailing white space, which receivers strip. */
const FIELD_VALUE = /^[!-~\u00a0-\u00ff]([ -~\u00a0-\u00ff]*[!-~\u00a0-\u00ff])?$/
/** Headers of the connection (RFC 9110 section 7.6.1), and those that every attempt sets itself. */
const RESERVED = new Set(
  [
    'host',
    'connection',
    'keep-alive',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
    'http2-settings',
    'expect',
  ].concat(['user-agent', 'traceparent', 'tracestate', '__proto__']),
)
const RESERVED_PREFIXES = ['proxy-', 'content-', 'webhook-', 'x-alert-relay-']

function headerErrors(headers: Headers, hasAuth: boolean): FieldError[] {
  const seen = new Set<string>()
  return Object.entries(headers).flatMap(([name, value]) => {
    const lower = name.toLowerCase()
    const problem = headerProblem(lower, value, hasAuth) ?? (seen.has(lower) ? 'is there twice' : undefined)
    seen.add(lower)
    return problem === undefined ? [] : [{ path: memberPath('/headers', name.slice(0, 128)), detail: problem }]
  })
}

function headerProblem(name: string, value: string, hasAuth: boolean): string | undefined {
  if (!TOKEN.test(name)) return 'is not the name of a header'
  if (RESERVED.has(name) || RESERVED_PREFIXES.some((prefix) => name.startsWith(prefix))) return 'is not yours to set'
  if (name === 'authorization' && hasAuth) return 'is set by auth; one of the two must go'
  if (!FIELD_VALUE.test(value)) {
    return 'has a value with a control character, a character beyond Latin-1 or white space around it, or has none'
  }
  return undefined
}

const CONTROL = /\p{Cc}/u
const VISIBLE = /^[!-~]+$/
/** RFC 6749 appendix A: VSCHAR, and A.4: scope. */
const VSCHARS = /^[ -~]+$/
const SCOPE = /^[!#-[\]-~]+( [!#-[\]-~]+)*$/

function authErrors(auth: Auth): FieldError[] {
  const shape: { properties: Record<string, TSchema>; required?: string[] } = AUTH_TYPES[auth.type]
  const unknown = Object.keys(auth).filter((name) => !Object.hasOwn(shape.properties, name))
  const missing = (shape.required ?? []).filter((name) => !Object.hasOwn(auth, name))
  if (unknown.length + missing.length > 0) {
    return [
      ...unknown.map((name) => ({ path: memberPath('/auth', name), detail: `is unknown to ${auth.type}` })),
      ...missing.map((name) => ({ path: memberPath('/auth', name), detail: `is required by ${auth.type}` })),
    ]
  }
  return authProblems(auth).flatMap(([name, detail]) => (detail ? [{ path: `/auth/${name}`, detail }] : []))
}

type Problem = [field: string, detail: string | false | undefined]

function authProblems(auth: Auth): Problem[] {
  const unless = (pattern: RegExp, text: string | undefined, detail: string) =>
    text !== undefined && !pattern.test(text) && detail
  switch (auth.type) {
    case 'basic':
      return [
        ['username', /:|\p{Cc}/u.test(auth.username) && 'must have no colon and no control characters'],
        ['password', CONTROL.test(auth.password) && 'must have no control characters'],
      ]
    case 'bearer':
      return [
        ['token', unless(VISIBLE, auth.token, 'must be visible ASCII without spaces; "Bearer " is put before it')],
      ]
    case 'oauth2':
      return [
        ['token_url', webUrlProblem(auth.token_url)],
        ['client_id', unless(VSCHARS, auth.client_id, 'must be printable ASCII')],
        ['client_secret', unless(VSCHARS, auth.client_secret, 'must be printable ASCII')],
        ['scope', unless(SCOPE, auth.scope, 'must be scopes separated by one space each')],
        ['audience', unless(VISIBLE, auth.audience, 'must be visible ASCII without spaces')],
      ]
  }
}

function tlsErrors({ client_cert: cert, client_key: key, ca }: TlsTexts, now: Date): FieldError[] {
  const errors: FieldError[] = []
  const refuse = (field: keyof TlsTexts, detail: string) => void errors.push({ path: `/tls/${field}`, detail })
  if (cert === undefined && key === undefined && ca === undefined) {
    return [{ path: '/tls', detail: 'is empty; null means none' }]
  }
  if (cert !== undefined && key === undefined) refuse('client_key', 'is required by client_cert')
  if (cert === undefined && key !== undefined) refuse('client_cert', 'is required by client_key')

  const authorities = ca === undefined ? [] : readCertificates(ca)
  if (typeof authorities === 'string') refuse('ca', authorities)
  else if (authorities.length > MAX_AUTHORITIES) refuse('ca', `holds more than ${MAX_AUTHORITIES} certificates`)
  else if (ca !== undefined && !authorities.some((authority) => expiryOf(authority) > now)) refuse('ca', 'has expired')

  const chain = cert === undefined ? [] : readCertificates(cert)
  const privateKey = key === undefined ? undefined : readPrivateKey(key)
  if (typeof privateKey === 'string') refuse('client_key', privateKey)
  if (typeof chain === 'string') return [...errors, { path: '/tls/client_cert', detail: chain }]
  const [leaf] = chain
  if (leaf && expiryOf(leaf) <= now) refuse('client_cert', `expired at ${expiryOf(leaf).toISOString()}`)
  if (leaf && typeof privateKey === 'object') {
    if (!leaf.checkPrivateKey(privateKey)) {
      refuse('client_key', 'does not belong to the first certificate of client_cert')
    } else if (!isAcceptedByOpenSsl(tlsMaterialOf({ client_cert: cert, client_key: key })!)) {
      refuse('client_cert', 'is too weak for TLS or of a kind that TLS does not know')
    }
  }
  return errors
}

const MAX_AUTHORITIES = 50

/** False for a key or a digest that OpenSSL refuses for TLS, such as a 512-bit RSA key. */
function isAcceptedByOpenSsl(material: TlsMaterial): boolean {
  try {
    createSecureContext(material)
    return true
  } catch {
    return false
  }
}

/** Credentials that the kind of the URL does not allow. An invalid URL is refused by `checkWebhook`. */
function targetErrors({ headers, auth, tls }: Credentials, url: string): FieldError[] {
  const protocol = URL.canParse(url) ? new URL(url).protocol : 'https:'
  const isTopic = protocol === 'arn:'
  const forTopics = 'has no place at an SNS topic, to which AWS credentials publish'
  return [
    ...(isTopic && Object.keys(headers).length > 0 ? [{ path: '/headers', detail: forTopics }] : []),
    ...(isTopic && auth !== null ? [{ path: '/auth', detail: forTopics }] : []),
    ...(protocol !== 'https:' && tls !== null ? [{ path: '/tls', detail: 'needs a url with https://' }] : []),
  ]
}
