/**
 * Certificates and keys as PEM texts (RFC 7468), as operators paste them. Pure.
 *
 * Promise: what is said about a text never quotes it.
 */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { Type, type Static } from 'typebox'

/** A certificate as it is shown. */
export const CertificateSummary = Type.Object(
  {
    subject: Type.String({ description: 'Whom it names.' }),
    expires_at: Type.String({ format: 'date-time' }),
    fingerprint_sha256: Type.String({ description: 'As `openssl x509 -fingerprint -sha256` prints it.' }),
  },
  { additionalProperties: false },
)
export type CertificateSummary = Static<typeof CertificateSummary>

/** Nothing in a body matches the dashes of the end, so a hostile text costs one pass. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g

/**
 * The certificates of a text, in its order. Lines between them are ignored, as OpenSSL does; anything else in PEM is not.
 * @returns what is wrong with it, if it is not one certificate or more
 */
export function readCertificates(pem: string): X509Certificate[] | string {
  if (pem.includes('PRIVATE KEY')) return 'holds a private key, which does not belong here'
  const blocks = pem.match(CERTIFICATE) ?? []
  if (blocks.length === 0) return 'is not a certificate in PEM: it begins with -----BEGIN CERTIFICATE-----'
  if (pem.split('-----BEGIN ').length - 1 !== blocks.length) return 'holds more than certificates, or a broken one'
  try {
    return blocks.map((block) => new X509Certificate(block))
  } catch {
    return 'holds a certificate that cannot be read'
  }
}

/** @returns what is wrong with it, if it is not one private key without a passphrase */
export function readPrivateKey(pem: string): KeyObject | string {
  if (!pem.includes('PRIVATE KEY-----')) {
    return 'is not a private key in PEM: it begins with -----BEGIN PRIVATE KEY-----'
  }
  // PKCS#8 says so in its label, the older forms in a header (RFC 1421).
  if (pem.includes('ENCRYPTED')) return 'is encrypted; give it without a passphrase, it is sealed here'
  try {
    return createPrivateKey({ key: pem, format: 'pem' })
  } catch {
    return 'is a private key that cannot be read'
  }
}

export function expiryOf({ validTo }: X509Certificate): Date {
  return new Date(validTo)
}

/** @throws Error for a text without a certificate: it was checked before it was kept */
export function summariesOf(pem: string): CertificateSummary[] {
  const certificates = readCertificates(pem)
  if (typeof certificates === 'string') throw new Error(`a kept certificate ${certificates}`)
  return certificates.map((certificate) => ({
    subject: certificate.subject?.replaceAll('\n', ', ') ?? '',
    expires_at: expiryOf(certificate).toISOString(),
    fingerprint_sha256: certificate.fingerprint256,
  }))
}
