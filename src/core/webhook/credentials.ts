/**
 * Credentials: what a webhook proves itself with to its receiver, beyond the signature. Pure.
 *
 * Promise: what passes `checkCredentials` can be sent: no header can be smuggled in, none of ours is replaced, a client
 * certificate has its key. What is refused names its field and quotes no secret. credentials-mask.ts is what of it is
 * shown.
 */
import { createSecureContext } from 'node:tls'
import { Type, type Static, type TSchema } from 'typebox'
import type { FieldError } from '../platform/errors.js'
import { oneOf } from '../platform/schema.js'
import type { TlsMaterial } from '../platform/tls-agents.js'
import { CertificateSummary, expiryOf, readCertificates, readPrivateKey } from './certificate-pem.js'
import { webUrlProblem } from './web-url.js'
import { memberPath } from '../platform/json-pointer.js'

/** Name and value of headers sent with every attempt. */
export const Headers = Type.Unsafe<Record<string, string>>({
  type: 'object',
  maxProperties: 20,
  additionalProperties: { type: 'string', minLength: 1, maxLength: 2000 },
  description:
    'Headers of your own, sent with every attempt. Values are shown as ********; sent back so, they stay as they are.',
})
export type Headers = Static<typeof Headers>

const secret = (maxLength: number, description: string) =>
  Type.String({ minLength: 1, maxLength, description: `${description} A secret: shown as ********.` })

/** RFC 7617. */
const Basic = Type.Object({
  type: Type.Literal('basic'),
  username: Type.String({ maxLength: 256, description: 'basic: without a colon.' }),
  password: secret(1024, 'basic.'),
})
/** RFC 6750 section 2.1. */
const Bearer = Type.Object({ type: Type.Literal('bearer'), token: secret(8000, 'bearer: sent as it is.') })
/** RFC 6749 section 4.4. */
const OAuth2 = Type.Object({
  type: Type.Literal('oauth2'),
  token_url: Type.String({ minLength: 1, maxLength: 2048, description: 'oauth2: where a token is to be had.' }),
  client_id: Type.String({ minLength: 1, maxLength: 512, description: 'oauth2.' }),
  client_secret: secret(2048, 'oauth2.'),
  scope: Type.Optional(Type.String({ minLength: 1, maxLength: 2000, description: 'oauth2: separated by spaces.' })),
  audience: Type.Optional(
    Type.String({ minLength: 1, maxLength: 2000, description: 'oauth2: some servers ask for it.' }),
  ),
  client_auth: Type.Optional({
    ...oneOf(['basic', 'body'], {
      description:
        'oauth2: how the client shows its secret, in the authorization header or in the body; left out: basic.',
    }),
  }),
})
const AUTH_TYPES = { basic: Basic, bearer: Bearer, oauth2: OAuth2 }

export type Auth = Static<typeof Basic> | Static<typeof Bearer> | Static<typeof OAuth2>

/** One flat object on the wire: of a union, validators say everything that any branch misses. */
export const Auth = Type.Unsafe<Auth | null>({
  type: ['object', 'null'],
  required: ['type'],
  additionalProperties: false,
  properties: {
    ...Basic.properties,
    ...Bearer.properties,
    ...OAuth2.properties,
    type: oneOf(['basic', 'bearer', 'oauth2'], { description: 'OAuth 2.0: client credentials.' }),
  },
  description:
    'How the receiver is told who sends, in the authorization header; null: it is not. See each field for its type.',
  examples: [{ type: 'bearer', token: 'tk-1234' }],
})

const pem = (maxLength: number, description: string) =>
  Type.String({ minLength: 1, maxLength, description: `${description} PEM.` })

const TlsFields = Type.Object({
  client_cert: Type.Optional(
    Type.Union([
      pem(32_768, 'The certificate shown to the receiver, and what leads to its authority.'),
      CertificateSummary,
    ]),
  ),
  client_key: Type.Optional(secret(16_384, 'Its private key, PEM, without a passphrase.')),
  ca: Type.Optional(
    Type.Union([
      pem(131_072, 'Whom to trust instead of the public authorities, one certificate or more.'),
      Type.Array(CertificateSummary),
    ]),
  ),
})
export type Tls = Static<typeof TlsFields>

/** As it is sent, texts; and as it is shown, summaries, which when sent back keep what they tell of. */
export const Tls = Type.Unsafe<Tls | null>({
  type: ['object', 'null'],
  additionalProperties: false,
  properties: TlsFields.properties,
  description: 'For https: a client certificate (mutual TLS), a private authority, or both; null: neither.',
})

/** TLS material as it is kept: texts alone. */
export interface TlsTexts {
  client_cert?: string
  client_key?: string
  ca?: string
}

/** As they are kept, sealed. */
export interface Credentials {
  headers: Headers
  auth: Auth | null
  tls: TlsTexts | null
}

/** What http-client.ts takes. */
export function tlsMaterialOf(tls: TlsTexts | null): TlsMaterial | undefined {
  return tls === null ? undefined : { cert: tls.client_cert, key: tls.client_key, ca: tls.ca }
}

/**
 * Checks what schemas cannot say; lengths are theirs. Ask when credentials or the URL change: a certificate that passed
 * once expires, and that must not keep anybody from changing something else.
 * @returns the problems, each with a JSON pointer into the webhook; none when all is well
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
/** RFC 9110 section 5.5 without tabs, and without white space around it, which receivers cut off. */
const FIELD_VALUE = /^[!-~\u00a0-\u00ff]([ -~\u00a0-\u00ff]*[!-~\u00a0-\u00ff])?$/
/** Those that speak of the connection (RFC 9110 section 7.6.1), and those that every attempt makes itself. */
const OURS = new Set(
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
const OUR_PREFIXES = ['proxy-', 'content-', 'webhook-', 'x-alert-relay-']

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
  if (OURS.has(name) || OUR_PREFIXES.some((prefix) => name.startsWith(prefix))) return 'is not yours to set'
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
    } else if (!isTakenByOpenSsl(tlsMaterialOf({ client_cert: cert, client_key: key })!)) {
      refuse('client_cert', 'is too weak for TLS or of a kind that TLS does not know')
    }
  }
  return errors
}

const MAX_AUTHORITIES = 50

function isTakenByOpenSsl(material: TlsMaterial): boolean {
  try {
    createSecureContext(material)
    return true
  } catch {
    return false
  }
}

/** What the URL's kind has no place for. A URL that is none is refused elsewhere. */
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
