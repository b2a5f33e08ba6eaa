/** Credentials and certificates for the tests of credentials. */
import { Ajv } from 'ajv'
import formats from 'ajv-formats'
import { generate } from 'selfsigned'
import { Auth, Headers, Tls, type Credentials } from '../../../src/core/webhook/credentials.js'

export const NONE: Credentials = { headers: {}, auth: null, tls: null }

/** Parsed JSON, in which `__proto__` is an ordinary key. */
export const fromJson = <T>(text: string) => JSON.parse(text) as T

const ajv = formats.default(new Ajv({ strict: true }))
/** The schemas of requests. */
export const accepts = { headers: ajv.compile(Headers), auth: ajv.compile(Auth), tls: ajv.compile(Tls) }

/** A self-signed certificate and its key. */
async function pair(commonName: string, from = '2026-01-01', until = '2027-01-01') {
  const { cert, private: key } = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(from),
    notAfterDate: new Date(until),
  })
  return { client_cert: cert, client_key: key }
}
export const [relay, other, expired, early] = await Promise.all([
  pair('relay'),
  pair('other'),
  pair('expired', '2025-01-01', '2026-06-01'),
  pair('early', '2026-07-01'),
])
