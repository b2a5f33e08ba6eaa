/**
 * Signing certificates, fetched from a message's SigningCertURL if it is trusted.
 *
 * Guarantee: at most one request per URL runs at a time. A certificate is parsed once and cached for a day; after a
 * failure the URL is not requested for `COOLDOWN_MS`, so that forged messages cannot flood a host. Dates and names are
 * checked at every use, since one certificate is used for several topics and for a long time; those of an emulator are
 * not.
 */
import { X509Certificate, type KeyObject } from 'node:crypto'
import { messageOf, Refusal } from '../platform/errors.js'
import { fetchText, type FetchedText } from '../platform/fetch-text.js'
import { certificateNames, checkCertificateUrl } from './sns-url.js'

export interface CertificateStore {
  /**
   * The public key of the certificate at a message's SigningCertURL.
   * @throws Refusal 'certificate_not_trusted' for a certificate or URL that is not SNS's; 'undecided' when the host
   *   does not return a certificate
   */
  publicKeyFor(certificateUrl: string, topicArn: string): Promise<KeyObject>
  /**
   * Another public key at the SigningCertURL than the one that did not fit: an emulator that starts anew has a new key at
   * the same URL. It is fetched at most once in `COOLDOWN_MS`, however many messages are forged.
   * @returns undefined when there is none; never for a URL of AWS, which names one certificate for good
   * @throws Refusal 'undecided' when the host does not return a certificate
   */
  newerKeyFor(certificateUrl: string, topicArn: string, misfit: KeyObject): Promise<KeyObject | undefined>
}

export interface CertificateStoreOptions {
  emulatorOrigin?: string
  fetch?: (url: URL) => Promise<FetchedText>
  now?: () => number
  /** Called after every fetch. */
  onFetch?: (result: 'fetched' | 'failed') => void
}

const FETCH_LIMITS = { timeoutMs: 3000, maxBytes: 16 * 1024 }
const MAX_AGE_MS = 24 * 3600 * 1000
const COOLDOWN_MS = 5000
/** AWS has about thirty regions, with one or two certificates each. */
const MAX_ENTRIES = 64
const MIN_RSA_BITS = 2048

interface Certificate {
  key: KeyObject
  /**
   * Uses OpenSSL to compare common name and DNS alternatives, because their text forms can be forged to look like other
   * names.
   */
  hasName(name: string): boolean
  validFrom: number
  validTo: number
}

interface Entry {
  certificate: Promise<Certificate>
  fetchedAt: number
  /** When it is fetched again. */
  expires: number
  /** True once a certificate was fetched. */
  loaded: boolean
}

export function createCertificateStore(options: CertificateStoreOptions = {}): CertificateStore {
  const { emulatorOrigin, fetch = (url) => fetchText(url, FETCH_LIMITS), now = Date.now, onFetch = () => {} } = options
  const entries = new Map<string, Entry>()

  function load(url: URL): Promise<Certificate> {
    const cached = entries.get(url.href)
    if (cached && cached.expires > now()) return cached.certificate
    return fetchAnew(url)
  }

  function fetchAnew(url: URL): Promise<Certificate> {
    const fetchedAt = now()
    const certificate = fetchCertificate(fetch, url)
    const entry: Entry = { certificate, fetchedAt, expires: fetchedAt + MAX_AGE_MS, loaded: false }
    entry.certificate.then(
      () => {
        entry.loaded = true
        onFetch('fetched')
      },
      () => {
        entry.expires = now() + COOLDOWN_MS
        onFetch('failed')
      },
    )
    entries.delete(url.href)
    if (entries.size >= MAX_ENTRIES) entries.delete(evictionCandidate(entries))
    entries.set(url.href, entry)
    return entry.certificate
  }

  return {
    async publicKeyFor(certificateUrl, topicArn) {
      const url = checkCertificateUrl(certificateUrl, topicArn, emulatorOrigin)
      const certificate = await load(url)
      // The operator trusts the emulator's origin itself; goaws makes certificates that live for five seconds.
      if (url.origin === emulatorOrigin) return certificate.key
      checkNames(certificate, topicArn)
      checkDates(certificate, now())
      return certificate.key
    },

    async newerKeyFor(certificateUrl, topicArn, misfit) {
      const url = checkCertificateUrl(certificateUrl, topicArn, emulatorOrigin)
      if (url.origin !== emulatorOrigin) return undefined
      const { fetchedAt = 0 } = entries.get(url.href) ?? {}
      const { key } = await (now() - fetchedAt < COOLDOWN_MS ? load(url) : fetchAnew(url))
      return key.equals(misfit) ? undefined : key
    },
  }
}

/**
 * The URL of the oldest entry without a certificate, else of the oldest: forged URLs, of any number, evict only each
 * other.
 */
function evictionCandidate(entries: ReadonlyMap<string, Entry>): string {
  const byAge = [...entries]
  const [url] = byAge.find(([, { loaded }]) => !loaded) ?? byAge[0]!
  return url
}

async function fetchCertificate(fetch: (url: URL) => Promise<FetchedText>, url: URL): Promise<Certificate> {
  const answer = await fetch(url).catch((error: unknown) => {
    throw new Refusal('undecided', `The signing certificate cannot be fetched: ${messageOf(error)}`, { cause: error })
  })
  if (answer.status !== 200) {
    throw new Refusal('undecided', `The signing certificate cannot be fetched: its host answered ${answer.status}`)
  }
  const parsed = parseCertificate(answer.body)
  if (!parsed) throw new Refusal('undecided', 'The host of the signing certificate answered something else')
  return certificateOf(parsed)
}

function parseCertificate(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem)
  } catch {
    return undefined
  }
}

function certificateOf(certificate: X509Certificate): Certificate {
  const { publicKey: key, validFrom, validTo } = certificate
  if (key.asymmetricKeyType !== 'rsa' || (key.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_RSA_BITS) {
    throw new Refusal('certificate_not_trusted', `The signing key is not RSA of ${MIN_RSA_BITS} bits or more.`)
  }
  return {
    key,
    hasName: (name) => certificate.checkHost(name, { subject: 'always', wildcards: false }) !== undefined,
    validFrom: Date.parse(validFrom),
    validTo: Date.parse(validTo),
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
