/**
 * What of a webhook's credentials is shown, and what it means when that is sent back. Pure.
 *
 * Promise: nothing shown lets anybody in; whatever is shown, sent back unchanged, changes nothing; a secret is kept only
 * for whom it was given.
 */
import type { FieldError } from '../platform/errors.js'
import { summariesOf, type CertificateSummary } from './certificate-pem.js'
import type { Auth, Credentials, Headers, Tls, TlsTexts } from './credentials.js'
import { memberPath } from '../platform/json-pointer.js'

/** Stands for a secret. No secret can be this. */
export const MASK = '********'

/** The credentials of a request, each left out if it stays as it is. */
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
 * Puts the values that are kept in the places of what was shown for them.
 * @param current what the webhook has; undefined for a new one
 * @returns the fields of the patch, ready for `checkCredentials`; and an error for every place where there is nothing to
 *   keep, or where what was shown is not what there is: use nothing of it then
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
  const kept = new Map(Object.entries(current).map(([name, value]) => [name.toLowerCase(), value]))
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => {
      if (value !== MASK) return [name, value]
      const known = kept.get(name.toLowerCase())
      if (known === undefined) {
        errors.push({ path: memberPath('/headers', name.slice(0, 128)), detail: NOTHING_TO_KEEP })
      }
      return [name, known ?? '']
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
      // It was given for one server: whoever changes the server has to know it.
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
  const shown = maskTls(current)
  const keep = (field: keyof TlsTexts, isShown: boolean, detail: string): string => {
    const kept = isShown ? current[field] : undefined
    if (kept === undefined) errors.push({ path: `/tls/${field}`, detail })
    return kept ?? ''
  }
  const texts: TlsTexts = {}
  if (typeof cert === 'string') texts.client_cert = cert
  else if (cert) texts.client_cert = keep('client_cert', areSame([cert], [shown.client_cert]), NOT_THE_SAME)
  if (key !== undefined) texts.client_key = key === MASK ? keep('client_key', true, NOTHING_TO_KEEP) : key
  if (typeof ca === 'string') texts.ca = ca
  else if (ca) texts.ca = keep('ca', areSame(ca, shown.ca), NOT_THE_SAME)
  return texts
}

const NOT_THE_SAME = 'tells of another certificate than the webhook has: send the PEM text'

function areSame(sent: readonly CertificateSummary[], shown: Tls['ca'] | (Tls['client_cert'] | undefined)[]): boolean {
  if (!Array.isArray(shown) || shown.length !== sent.length) return false
  return shown.every((summary, i) => {
    return typeof summary === 'object' && summary.fingerprint_sha256 === sent[i]!.fingerprint_sha256
  })
}
