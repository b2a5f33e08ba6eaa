/** Verifiers of SNS messages, with certificates of the test. */
import type { Test } from 'tap'
import { createCertificateCache, type CertificateCache } from '../../src/core/sns/certificate-cache.js'
import { parseSnsMessage } from '../../src/core/sns/message.js'
import { createVerifier } from '../../src/core/sns/verify.js'
import { createSnsPublisher, type PublisherOptions } from './sns-publisher.js'

export const MAX_AGE_S = 4200

/** A verifier for which every URL has this certificate; `fetched` are the requested URLs. */
export function verifierWith(certificate: string, now?: () => number) {
  const fetched: string[] = []
  const certificates = createCertificateCache({
    now,
    fetch: async (url) => {
      fetched.push(url.href)
      return { status: 200, body: certificate }
    },
  })
  return { ...verifierOf(certificates, now), certificates, fetched }
}

/** A verifier of messages of known topics. */
export function verifierOf(certificates: CertificateCache, now?: () => number, emulatorOrigin?: string) {
  const verifier = createVerifier({ certificates, maxAgeS: MAX_AGE_S, emulatorOrigin, now })
  const verify = async (envelope: object) =>
    verifier.verify(parseSnsMessage(Buffer.from(JSON.stringify(envelope))), 'known')
  return { verify }
}

/** A verifier that trusts the loopback server of the publisher, as with SNS_EMULATOR. */
export async function verifierOfEmulator(t: Test, options: PublisherOptions = {}, now?: () => number) {
  const emulator = await createSnsPublisher(options)
  await emulator.serve()
  t.teardown(() => emulator.close())
  const certificates = createCertificateCache({ emulatorOrigin: emulator.origin, now })
  return { emulator, ...verifierOf(certificates, now, emulator.origin) }
}
