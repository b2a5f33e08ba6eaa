/**
 * Verification: whether a message is from SNS, and recent.
 *
 * Guarantee: when `verify` returns, every signed field is as SNS sent it, and its Timestamp is within the allowed
 * window. Cheap checks come first; no URL is fetched before it is checked.
 */
import { verify as verifySignature, type KeyObject } from 'node:crypto'
import { Refusal } from '../platform/errors.js'
import type { CertificateCache } from './certificate-cache.js'
import type { TopicStanding } from './fetch-queue.js'
import { textsToSign, type SnsMessage } from './message.js'
import { checkSubscribeUrl } from './sns-url.js'

export interface Verifier {
  /**
   * @throws Refusal 'stale_message', 'signature_version', 'subscribe_url_not_trusted', 'certificate_not_trusted' or 'signature_mismatch',
   *   which are final; 'undecided' when the certificate cannot be fetched now
   */
  verify(message: SnsMessage, standing: TopicStanding): Promise<void>
}

export interface VerifierOptions {
  certificates: CertificateCache
  /** SNS_SIGNATURE_VERSIONS. */
  signatureVersions?: readonly SignatureVersion[]
  /**
   * How far a Timestamp may be in the past or future, in seconds; the future counts because the local clock may be
   * behind.
   */
  maxAgeS: number
  emulatorOrigin?: string
  now?: () => number
}

/** SignatureVersion 1 is SHA1withRSA, 2 is SHA256withRSA (AWS, "Verifying the signatures of Amazon SNS messages"). */
const DIGEST_OF = { 1: 'RSA-SHA1', 2: 'RSA-SHA256' } as const
export const SIGNATURE_VERSIONS = ['1', '2'] as const
type SignatureVersion = (typeof SIGNATURE_VERSIONS)[number]

export function createVerifier(options: VerifierOptions): Verifier {
  const { certificates, maxAgeS, emulatorOrigin, signatureVersions = SIGNATURE_VERSIONS, now = Date.now } = options
  return {
    async verify(message, standing) {
      checkAge(message, maxAgeS, now())
      checkVersion(message, signatureVersions)
      if (message.Type !== 'Notification') checkSubscribeUrl(message.SubscribeURL, message.TopicArn, emulatorOrigin)
      const use = { certificateUrl: message.SigningCertURL, topicArn: message.TopicArn, standing }
      const key = await certificates.publicKeyFor(use)
      if (isSignedBy(key, message)) return
      const newer = await certificates.newerKeyFor(use, key)
      if (newer && isSignedBy(newer, message)) return
      throw new Refusal('signature_mismatch', 'The signature is not of this message.', {
        errors: [{ path: '/Signature', detail: 'does not match' }],
      })
    },
  }
}

function isSignedBy(key: KeyObject, message: SnsMessage): boolean {
  const digest = DIGEST_OF[message.SignatureVersion]
  const signature = Buffer.from(message.Signature, 'base64')
  return textsToSign(message).some((text) => verifySignature(digest, Buffer.from(text, 'utf8'), key, signature))
}

/** SHA-1 is weak: an operator whose topics have SignatureVersion 2 may refuse it. */
function checkVersion({ SignatureVersion: version }: SnsMessage, taken: readonly SignatureVersion[]): void {
  if (taken.includes(version)) return
  throw new Refusal(
    'signature_version',
    `SNS_SIGNATURE_VERSIONS takes ${taken.join(', ')} alone: set the topic's SignatureVersion.`,
    {
      errors: [{ path: '/SignatureVersion', detail: `must be ${taken.join(' or ')}` }],
    },
  )
}

function checkAge({ Timestamp: timestamp }: SnsMessage, maxAgeS: number, now: number): void {
  if (Math.abs(now - Date.parse(timestamp)) <= maxAgeS * 1000) return
  throw new Refusal(
    'stale_message',
    `The Timestamp is more than ${maxAgeS} s from now: a replay, or a clock is wrong.`,
    {
      errors: [{ path: '/Timestamp', detail: `is not within ${maxAgeS} s of now` }],
    },
  )
}
