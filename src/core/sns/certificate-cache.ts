/**
 * Signing certificates, fetched from a message's SigningCertURL if it is trusted.
 *
 * Guarantee: a certificate of AWS is kept until it ends, over restarts too; once a day it is fetched again behind the messages that
 * use it. At most one request per URL runs at a time (fetch-queue.ts); after a failure the URL is not requested for
 * `COOLDOWN_MS`. Dates and names are checked at every use, since one certificate is used for several topics and for a long time;
 * those of an emulator are not.
 */
import { X509Certificate, type KeyObject } from 'node:crypto'
import { messageOf, Refusal } from '../platform/errors.js'
import { fetchText, type FetchedText } from '../platform/fetch-text.js'
import type { StoredCertificate } from './certificate-store.js'
import { createFetchQueue, type TopicStanding } from './fetch-queue.js'
import { certificateNames, checkCertificateUrl } from './sns-url.js'

/** A message's SigningCertURL and topic, and what is known of the topic. */
export interface CertificateUse {
  certificateUrl: string
  topicArn: string
  standing: TopicStanding
}

export interface CertificateCache {
  /**
   * The public key of the certificate at a message's SigningCertURL.
   * @throws Refusal 'certificate_not_trusted' for a certificate or URL that is not SNS's; 'undecided' when the host
   *   does not return a certificate
   */
  publicKeyFor(use: CertificateUse): Promise<KeyObject>
  /**
   * Another public key at the SigningCertURL than the one that did not fit: an emulator that starts anew has a new key at
   * the same URL. It is fetched at most once in `COOLDOWN_MS`, however many messages are forged.
   * @returns undefined when there is none; never for a URL of AWS, which names one certificate for good
   * @throws Refusal 'undecided' when the host does not return a certificate
   */
  newerKeyFor(use: CertificateUse, misfit: KeyObject): Promise<KeyObject | undefined>
}

export interface CertificateCacheOptions {
  emulatorOrigin?: string
  /** Those that were kept before. */
  stored?: readonly StoredCertificate[]
  /** Keeps one that is SNS's. */
  keep?: (certificate: StoredCertificate) => void
  fetch?: (url: URL) => Promise<FetchedText>
  now?: () => number
  /** Called after every fetch. */
  onFetch?: (result: 'fetched' | 'failed') => void
}

const FETCH_LIMITS = { timeoutMs: 3000, maxBytes: 16 * 1024 }
const REFRESH_MS = 24 * 3600 * 1000
const COOLDOWN_MS = 5000
/** AWS has about forty regions, with one or two certificates each. */
const MAX_ENTRIES = 1000
/** Of failures that are remembered. */
const MAX_FAILURES = 1000
const MIN_RSA_BITS = 2048

interface Certificate {
  key: KeyObject
  /**
   * Uses OpenSSL to compare common name and DNS alternatives, because their text forms can be forged to look like other
   * names.
   */
  hasName(name: string): boolean
  pem: string
  validFrom: number
  validTo: number
}

interface Entry {
  certificate: Certificate
  fetchedAt: number
}

export function createCertificateCache(options: CertificateCacheOptions = {}): CertificateCache {
  const { emulatorOrigin, stored = [], keep = () => {}, now = Date.now, onFetch = () => {} } = options
  const { fetch = (url) => fetchText(url, FETCH_LIMITS) } = options
  /** Certificates of SNS or of the emulator alone. Those that were stored are fetched again when they are used. */
  const entries = new Map<string, Entry>(
    stored.map(({ url, pem }) => [url, { certificate: certificateOf(pem), fetchedAt: -Infinity }]),
  )
  function remember(url: URL, entry: Entry): void {
    entries.set(url.href, entry)
    if (entries.size > MAX_ENTRIES) entries.delete(entries.keys().next().value!)
  }

  const failures = new Map<string, { error: unknown; until: number }>()
  const queue = createFetchQueue(fetchCertificate, now)

  async function fetchCertificate(url: URL): Promise<Entry> {
    const fetchedAt = now()
    try {
      const certificate = await fetchFrom(fetch, url)
      onFetch('fetched')
      failures.delete(url.href)
      return { certificate, fetchedAt }
    } catch (error) {
      onFetch('failed')
      fail(url, error)
      throw error
    }
  }

  function fail(url: URL, error: unknown): void {
    failures.set(url.href, { error, until: now() + COOLDOWN_MS })
    if (failures.size > MAX_FAILURES) failures.delete(failures.keys().next().value!)
  }

  /** @throws Refusal of a failure within the cooldown */
  function checkCooldown({ href }: URL): void {
    const failure = failures.get(href)
    if (failure && failure.until > now()) throw failure.error
  }

  /** A certificate that fits a topic of AWS. Others are not kept: a host may answer a made-up URL with anything. */
  function accept(url: URL, topicArn: string, entry: Entry): KeyObject {
    const { certificate } = entry
    checkNames(certificate, topicArn)
    checkDates(certificate, now())
    if (entries.get(url.href) !== entry) {
      remember(url, entry)
      keep({ url: url.href, pem: certificate.pem, validTo: new Date(certificate.validTo) })
    }
    return certificate.key
  }

  /** Fetches a certificate anew behind the messages that use it; when that fails, tomorrow again. */
  function refresh(url: URL, { topicArn, standing }: CertificateUse, entry: Entry): void {
    if (now() - entry.fetchedAt < REFRESH_MS) return
    entry.fetchedAt = now()
    queue
      .get(url, standing)
      .then((newer) => accept(url, topicArn, newer))
      .catch(() => {})
  }

  async function ofEmulator(url: URL): Promise<Entry> {
    const known = entries.get(url.href)
    if (known && now() - known.fetchedAt < REFRESH_MS) return known
    checkCooldown(url)
    const entry = await queue.get(url, 'known')
    remember(url, entry)
    return entry
  }

  return {
    async publicKeyFor(use) {
      const url = checkCertificateUrl(use.certificateUrl, use.topicArn, emulatorOrigin)
      // The operator trusts the emulator's origin itself; goaws makes certificates that live for five seconds.
      if (url.origin === emulatorOrigin) return (await ofEmulator(url)).certificate.key
      const known = entries.get(url.href)
      if (known) {
        refresh(url, use, known)
        return accept(url, use.topicArn, known)
      }
      checkCooldown(url)
      const entry = await queue.get(url, use.standing)
      try {
        return accept(url, use.topicArn, entry)
      } catch (error) {
        fail(url, error)
        throw error
      }
    },

    async newerKeyFor({ certificateUrl, topicArn }, misfit) {
      const url = checkCertificateUrl(certificateUrl, topicArn, emulatorOrigin)
      if (url.origin !== emulatorOrigin) return undefined
      const { fetchedAt = 0 } = entries.get(url.href) ?? {}
      if (now() - fetchedAt >= COOLDOWN_MS) entries.delete(url.href)
      const { key } = (await ofEmulator(url)).certificate
      return key.equals(misfit) ? undefined : key
    },
  }
}

async function fetchFrom(fetch: (url: URL) => Promise<FetchedText>, url: URL): Promise<Certificate> {
  const answer = await fetch(url).catch((error: unknown) => {
    throw new Refusal('undecided', `The signing certificate cannot be fetched: ${messageOf(error)}`, { cause: error })
  })
  if (answer.status !== 200) {
    throw new Refusal('undecided', `The signing certificate cannot be fetched: its host answered ${answer.status}`)
  }
  return certificateOf(answer.body)
}

function certificateOf(pem: string): Certificate {
  const certificate = parseCertificate(pem)
  const { publicKey: key, validFrom, validTo } = certificate
  if (key.asymmetricKeyType !== 'rsa' || (key.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_RSA_BITS) {
    throw new Refusal('certificate_not_trusted', `The signing key is not RSA of ${MIN_RSA_BITS} bits or more.`)
  }
  return {
    key,
    pem,
    hasName: (name) => certificate.checkHost(name, { subject: 'always', wildcards: false }) !== undefined,
    validFrom: Date.parse(validFrom),
    validTo: Date.parse(validTo),
  }
}

function parseCertificate(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw new Refusal('undecided', 'The host of the signing certificate answered something else', { cause: error })
  }
}

function checkNames({ hasName }: Certificate, topicArn: string): void {
  if (certificateNames(topicArn).some(hasName)) return
  throw new Refusal('certificate_not_trusted', 'The signing certificate was made out to somebody else than SNS.')
}

function checkDates({ validFrom, validTo }: Certificate, now: number): void {
  // Written so that a date that does not parse (NaN) is not valid.
  if (now >= validFrom && now <= validTo) return
  throw new Refusal('certificate_not_trusted', 'The signing certificate is not valid at this time.')
}
