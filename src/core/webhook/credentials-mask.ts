/**
 * Masks the secrets in a webhook's credentials for the API, and restores them in requests that send the masks back. Pure.
 *
 * Guarantee: a masked view holds no secret; a masked view sent back unchanged changes nothing; a secret is kept only for
 * the server that it was given for.
 */
import type { FieldError } from '../platform/errors.js'
import { summariesOf, type CertificateSummary } from './certificate-pem.js'
import type { Auth, Credentials, Headers, Tls, TlsTexts } from './credentials.js'
import { memberPath } from '../platform/json-pointer.js'

/** Stands for a secret. A secret cannot have this value. */
export const MASK = '********'

/** The credentials of a request; a field that is left out does not change. */
export interface CredentialsPatch {
  headers?: Headers
  auth?: Auth | null
  tls?: Tls | null
}

/** Credentials as the API shows them. */
export function maskCredentials({ headers, auth, tls }: Credentials): Required<CredentialsPatch> {
  return {
    headers: Object.fromEntries(Object.keys(headers).map((name) => [name, MASK])),
    auth: auth && maskAuth(auth),
    tls: tls && maskTls(tls),
  }
}

/**
 * Replaces the masks and certificate summaries of a request by the stored values.
 * @param current the credentials of the webhook; undefined for a new one
 * @returns the fields of the patch, ready for `checkCredentials`; and an error for every mask without a stored value and
 *   every summary of another certificate. With errors the credentials must not be used.
 */
export function unmask(
  patch: CredentialsPatch,
  current: Credentials | undefined,
): { credentials: Partial<Credentials>; errors: FieldError[] } {
  const errors: FieldError[] = []
  const credentials: Partial<Credentials> = {}
  if (patch.headers !== undefined) credentials.headers = unmaskHeaders(patch.headers, current?.headers ?? {}, errors)
  if (patch.auth !== undefined) credentials.auth = patch.auth && unmaskAuth(patch.auth, current?.auth ?? null, errors)
  if (patch.tls !== undefined) credentials.tls = patch.tls && unmaskTls(patch.tls, current?.tls ?? {}, errors)
  return { credentials, errors }
}

function unmaskHeaders(headers: Headers, current: Headers, errors: FieldError[]): Headers {
  const stored = new Map(Object.entries(current).map(([name, value]) => [name.toLowerCase(), value]))
  return Object.fromEntries(
    Object.entries(headers).map(([name, given]) => {
      if (given !== MASK) return [name, given]
      const value = stored.get(name.toLowerCase())
      if (value === undefined) {
        errors.push({ path: memberPath('/headers', name.slice(0, 128)), detail: NOTHING_TO_KEEP })
      }
      return [name, value ?? '']
    }),
  )
}

const NOTHING_TO_KEEP = `is ${MASK}, but there is no value to keep: send the value`

function maskAuth(auth: Auth): Auth {
  switch (auth.type) {
    case 'basic':
      return { ...auth, password: MASK }
    case 'bearer':
      return { ...auth, token: MASK }
    case 'oauth2':
      return { ...auth, client_secret: MASK }
  }
}

function unmaskAuth(auth: Auth, current: Auth | null, errors: FieldError[]): Auth {
  const keep = (field: string, value: string | undefined): string => {
    if (value === undefined) errors.push({ path: `/auth/${field}`, detail: NOTHING_TO_KEEP })
    return value ?? ''
  }
  switch (auth.type) {
    case 'basic':
      if (auth.password !== MASK) return auth
      return { ...auth, password: keep('password', current?.type === 'basic' ? current.password : undefined) }
    case 'bearer':
      if (auth.token !== MASK) return auth
      return { ...auth, token: keep('token', current?.type === 'bearer' ? current.token : undefined) }
    case 'oauth2': {
      if (auth.client_secret !== MASK) return auth
      // The secret was given for one token endpoint: another endpoint needs it sent again.
      const isSame = current?.type === 'oauth2' && current.token_url === auth.token_url
      return { ...auth, client_secret: keep('client_secret', isSame ? current.client_secret : undefined) }
    }
  }
}

function maskTls({ client_cert: cert, client_key: key, ca }: TlsTexts): Tls {
  return {
    ...(cert === undefined ? {} : { client_cert: summariesOf(cert)[0]! }),
    ...(key === undefined ? {} : { client_key: MASK }),
    ...(ca === undefined ? {} : { ca: summariesOf(ca) }),
  }
}

function unmaskTls(tls: Tls, current: TlsTexts, errors: FieldError[]): TlsTexts {
  const { client_cert: cert, client_key: key, ca } = tls
  const view = maskTls(current)
  const keep = (field: keyof TlsTexts, isSame: boolean, detail: string): string => {
    const stored = isSame ? current[field] : undefined
    if (stored === undefined) errors.push({ path: `/tls/${field}`, detail })
    return stored ?? ''
  }
  const texts: TlsTexts = {}
  if (typeof cert === 'string') texts.client_cert = cert
  else if (cert) texts.client_cert = keep('client_cert', areSame([cert], [view.client_cert]), NOT_THE_SAME)
  if (key !== undefined) texts.client_key = key === MASK ? keep('client_key', true, NOTHING_TO_KEEP) : key
  if (typeof ca === 'string') texts.ca = ca
  else if (ca) texts.ca = keep('ca', areSame(ca, view.ca), NOT_THE_SAME)
  return texts
}

const NOT_THE_SAME = 'is the summary of another certificate than the webhook has: send the PEM text'

function areSame(sent: readonly CertificateSummary[], view: Tls['ca'] | (Tls['client_cert'] | undefined)[]): boolean {
  if (!Array.isArray(view) || view.length !== sent.length) return false
  return view.every((summary, i) => {
    return typeof summary === 'object' && summary.fingerprint_sha256 === sent[i]!.fingerprint_sha256
  })
}
