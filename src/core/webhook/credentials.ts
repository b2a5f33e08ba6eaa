/**
 * Credentials: how a webhook authenticates itself to its receiver, beyond the signature: headers, HTTP authentication and
 * TLS client certificates. Their schemas and types; credentials-check.ts validates them, credentials-mask.ts hides their
 * secrets. Pure.
 */
import { Type, type Static } from 'typebox'
import { oneOf } from '../platform/schema.js'
import type { TlsMaterial } from '../platform/tls-agents.js'
import { CertificateSummary } from './certificate-pem.js'

/** The names and values of headers sent with every attempt. */
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
  token_url: Type.String({ minLength: 1, maxLength: 2048, description: 'oauth2: the token endpoint.' }),
  client_id: Type.String({ minLength: 1, maxLength: 512, description: 'oauth2.' }),
  client_secret: secret(2048, 'oauth2.'),
  scope: Type.Optional(Type.String({ minLength: 1, maxLength: 2000, description: 'oauth2: separated by spaces.' })),
  audience: Type.Optional(
    Type.String({ minLength: 1, maxLength: 2000, description: 'oauth2: required by some servers.' }),
  ),
  client_auth: Type.Optional({
    ...oneOf(['basic', 'body'], {
      description:
        'oauth2: how the client authenticates itself, in the authorization header or in the body; left out: basic.',
    }),
  }),
})
export const AUTH_TYPES = { basic: Basic, bearer: Bearer, oauth2: OAuth2 }

export type Auth = Static<typeof Basic> | Static<typeof Bearer> | Static<typeof OAuth2>

/** One flat object instead of a union: for a union validators report the errors of every branch. `checkCredentials` checks the type's own fields. */
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
    'How each request authenticates itself, in the authorization header; null: not at all. Each field names its type.',
  examples: [{ type: 'bearer', token: 'tk-1234' }],
})

const pem = (maxLength: number, description: string) =>
  Type.String({ minLength: 1, maxLength, description: `${description} PEM.` })

const TlsFields = Type.Object({
  client_cert: Type.Optional(
    Type.Union([
      pem(32_768, 'The client certificate, and the intermediate certificates up to its authority.'),
      CertificateSummary,
    ]),
  ),
  client_key: Type.Optional(secret(16_384, 'Its private key, PEM, without a passphrase.')),
  ca: Type.Optional(
    Type.Union([
      pem(131_072, 'The authorities to trust instead of the public ones, one certificate or more.'),
      Type.Array(CertificateSummary),
    ]),
  ),
})
export type Tls = Static<typeof TlsFields>

/** A request has PEM texts; an answer has summaries, and a request that repeats a summary keeps that certificate. */
export const Tls = Type.Unsafe<Tls | null>({
  type: ['object', 'null'],
  additionalProperties: false,
  properties: TlsFields.properties,
  description: 'For https: a client certificate (mutual TLS), a private authority, or both; null: neither.',
})

/** TLS material as it is stored: PEM texts. */
export interface TlsTexts {
  client_cert?: string
  client_key?: string
  ca?: string
}

/** As they are stored, sealed. */
export interface Credentials {
  headers: Headers
  auth: Auth | null
  tls: TlsTexts | null
}

/** The TLS material in the shape that http-client.ts takes. */
export function tlsMaterialOf(tls: TlsTexts | null): TlsMaterial | undefined {
  return tls === null ? undefined : { cert: tls.client_cert, key: tls.client_key, ca: tls.ca }
}
