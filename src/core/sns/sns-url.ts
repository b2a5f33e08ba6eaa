/**
 * Checks of the URLs in a message. Pure.
 *
 * Guarantee: a URL that passes is on SNS's host in the region of the topic, or on the emulator that the operator
 * configured. Only the host shows that a certificate is from SNS: anyone can sign a message with a key of their own.
 */
import { parseTopicArn } from '../platform/topic-pattern.js'
import { suffixOf } from '../platform/aws-partitions.js'
import { Refusal, type RefusalCode } from '../platform/errors.js'
import { LOCALSTACK_HOST } from '../platform/localstack.js'

/** Characters of a foreign origin in a refusal. */
const MAX_SEEN = 200
const CERTIFICATE_PATH = /^\/SimpleNotificationService-[0-9a-f]{32}\.pem$/
const CONFIRM_PARAMETERS = new Set(['Action', 'TopicArn', 'Token', 'Version'])

/** The names of this machine. */
const LOOPBACK_NAMES = new Set(['localhost', '127.0.0.1', '[::1]', LOCALSTACK_HOST])

/**
 * Checks a SigningCertURL.
 * @param emulatorOrigin one more trusted origin, on which any path is accepted
 * @returns the URL to fetch, on `emulatorOrigin` where it is the emulator's
 * @throws Refusal 'certificate_not_trusted'
 */
export function checkCertificateUrl(text: string, topicArn: string, emulatorOrigin: string | undefined): URL {
  const refuse = refusal('certificate_not_trusted', 'SigningCertURL')
  const url = onEmulator(parseUrl(text, refuse), emulatorOrigin)
  if (url.origin === emulatorOrigin) return url
  checkHost(url, topicArn, refuse)
  // an empty query has no `search`, and would be another name of the same certificate
  if (!CERTIFICATE_PATH.test(url.pathname) || /[?#]/.test(text)) throw refuse('is not where SNS keeps certificates')
  return url
}

/**
 * Checks that a SubscribeURL is a ConfirmSubscription of this topic and nothing else.
 * @returns the URL to fetch, on `emulatorOrigin` where it is the emulator's
 * @throws Refusal 'subscribe_url_not_trusted'
 */
export function checkSubscribeUrl(text: string, topicArn: string, emulatorOrigin: string | undefined): URL {
  const refuse = refusal('subscribe_url_not_trusted', 'SubscribeURL')
  const url = onEmulator(parseUrl(text, refuse), emulatorOrigin)
  if (url.origin !== emulatorOrigin) {
    checkHost(url, topicArn, refuse)
    if (url.pathname !== '/') throw refuse('has a path, which SNS does not use')
  }
  const { searchParams: parameters } = url
  const names = [...parameters.keys()]
  if (new Set(names).size !== names.length || !names.every((name) => CONFIRM_PARAMETERS.has(name))) {
    throw refuse('has parameters that ConfirmSubscription does not know, or one of them twice')
  }
  if (parameters.get('Action') !== 'ConfirmSubscription') throw refuse('does not confirm a subscription')
  if (parameters.get('TopicArn') !== topicArn) throw refuse('confirms another topic')
  if (!parameters.get('Token')) throw refuse('has no token')
  return url
}

/**
 * The names in SNS's certificates for a topic: the general one and those of its region; none outside AWS's partitions.
 */
export function certificateNames(topicArn: string): string[] {
  const endpoint = endpointOf(topicArn)
  if (!endpoint) return []
  const { region, suffix } = endpoint
  return ['sns.amazonaws.com', `sns.${region}.${suffix}`, `sns-${region}.${suffix}`, `sns-signing.${region}.${suffix}`]
}

type Refuse = (detail: string) => Refusal

function refusal(code: RefusalCode, field: string): Refuse {
  return (detail) => new Refusal(code, `${field} ${detail}.`, { errors: [{ path: `/${field}`, detail }] })
}

function parseUrl(text: string, refuse: Refuse): URL {
  if (!URL.canParse(text)) throw refuse('is no URL')
  const url = new URL(text)
  if (url.username || url.password || url.hash) throw refuse('has credentials or a fragment')
  return url
}

/** The same URL on `emulatorOrigin`, if it is of the emulator by another name: nothing but that origin is connected to. */
function onEmulator(url: URL, emulatorOrigin: string | undefined): URL {
  if (emulatorOrigin === undefined || !isEmulator(url, new URL(emulatorOrigin))) return url
  const own = new URL(emulatorOrigin)
  own.pathname = url.pathname
  own.search = url.search
  return own
}

/** LocalStack does not know under which port or name a container publishes it. */
function isEmulator(url: URL, emulator: URL): boolean {
  if (url.hostname === LOCALSTACK_HOST) return true
  const isSameServer = url.protocol === emulator.protocol && url.port === emulator.port
  return isSameServer && LOOPBACK_NAMES.has(url.hostname) && LOOPBACK_NAMES.has(emulator.hostname)
}

function checkHost(url: URL, topicArn: string, refuse: Refuse): void {
  const seen = `it is on ${url.origin.slice(0, MAX_SEEN)}; if that is an emulator, set SNS_EMULATOR to it`
  const endpoint = endpointOf(topicArn)
  if (!endpoint) throw refuse(`belongs to a topic outside the partitions and regions of AWS: ${seen}`)
  const host = `sns.${endpoint.region}.${endpoint.suffix}`
  if (url.protocol !== 'https:') throw refuse(`is not https: ${seen}`)
  if (url.host !== host) throw refuse(`is not on ${host}, the host of the topic's region: ${seen}`)
}

/** The region of a topic and the DNS suffix of its endpoints; undefined when the text is no topic ARN. */
function endpointOf(topicArn: string): { region: string; suffix: string } | undefined {
  const topic = parseTopicArn(topicArn)
  const suffix = topic && suffixOf(topic.partition, topic.region)
  return topic && suffix ? { region: topic.region, suffix } : undefined
}
