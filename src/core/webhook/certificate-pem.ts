/**
 * Certificates and keys as PEM texts (RFC 7468), as operators paste them. Pure.
 *
 * Guarantee: an error never quotes the text.
 */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { Type, type Static } from 'typebox'

/** A certificate as the API shows it. */
export const CertificateSummary = Type.Object(
  {
    subject: Type.String({ description: 'The distinguished name of its subject.' }),
    expires_at: Type.String({ format: 'date-time' }),
    fingerprint_sha256: Type.String({ description: 'As `openssl x509 -fingerprint -sha256` prints it.' }),
  },
  { additionalProperties: false },
)
export type CertificateSummary = Static<typeof CertificateSummary>

/** The body cannot match the dashes of the end line, so that matching is linear in the length of any text. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----/g

/**
 * The certificates of a PEM text, in its order. Lines between them are ignored, as by OpenSSL; other PEM blocks are
 * refused.
 * @returns the certificates, one or more; or what is wrong with the text
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

/** @returns the private key, which must have no passphrase; or what is wrong with the text */
export function readPrivateKey(pem: string): KeyObject | string {
  if (!pem.includes('PRIVATE KEY-----')) {
    return 'is not a private key in PEM: it begins with -----BEGIN PRIVATE KEY-----'
  }
  // PKCS#8 states encryption in its label, the older forms in a header (RFC 1421).
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

/** @throws Error for a text without a certificate: a bug, since texts are checked before they are stored */
export function summariesOf(pem: string): CertificateSummary[] {
  const certificates = readCertificates(pem)
  if (typeof certificates === 'string') throw new Error(`a stored certificate ${certificates}`)
  return certificates.map((certificate) => ({
    subject: certificate.subject?.replaceAll('\n', ', ') ?? '',
    expires_at: expiryOf(certificate).toISOString(),
    fingerprint_sha256: certificate.fingerprint256,
  }))
}
