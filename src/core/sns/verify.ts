/**
 * Verification: whether a message is from SNS, and recent.
 *
 * Guarantee: when `verify` returns, every signed field is as SNS sent it, and its Timestamp is within the allowed
 * window. Cheap checks come first; no URL is fetched before it is checked.
 */
import { verify as verifySignature, type KeyObject } from 'node:crypto'
import { Refusal } from '../platform/errors.js'
import type { CertificateStore } from './certificate.js'
import { textsToSign, type SnsMessage } from './message.js'
import { checkSubscribeUrl } from './sns-url.js'

export interface Verifier {
  /**
   * @throws Refusal 'stale_message', 'subscribe_url_not_trusted', 'certificate_not_trusted' or 'signature_mismatch',
   *   which are final; 'undecided' when the certificate cannot be fetched now
   */
  verify(message: SnsMessage): Promise<void>
}

export interface VerifierOptions {
  certificates: CertificateStore
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

export function createVerifier({ certificates, maxAgeS, emulatorOrigin, now = Date.now }: VerifierOptions): Verifier {
  return {
    async verify(message) {
      checkAge(message, maxAgeS, now())
      if (message.Type !== 'Notification') checkSubscribeUrl(message.SubscribeURL, message.TopicArn, emulatorOrigin)
      const key = await certificates.publicKeyFor(message.SigningCertURL, message.TopicArn)
      if (isSignedBy(key, message)) return
      const newer = await certificates.newerKeyFor(message.SigningCertURL, message.TopicArn, key)
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
