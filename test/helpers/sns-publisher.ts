/**
 * A stand-in for SNS, for every test that sends a message: it signs as SNS does, with a key and certificate of its own.
 *
 * Promise: what it makes is signed over the very fields that AWS documents, by code that shares nothing with the relay's
 * verifier. Without `serve` its URLs point at AWS's host of the topic's region; after `serve` at a loopback server that
 * hands out the certificate and answers ConfirmSubscription, as an emulator does (settings: SNS_EMULATOR).
 *
 *   const publisher = await createSnsPublisher({ topicArn })
 *   await publisher.serve()                       // optional; then publisher.origin is SNS_EMULATOR
 *   t.teardown(() => publisher.close())
 *   const envelope = publisher.notification({ message: '{...}', version: '2' })
 *   publisher.respond = (request, response) => {} // misbehave: this one hangs
 */
import { createPrivateKey, createSign, randomUUID } from 'node:crypto'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { generate } from 'selfsigned'

export interface Envelope {
  [key: string]: unknown
  Type: string
  MessageId: string
  TopicArn: string
  Message: string
  Timestamp: string
  SignatureVersion: '1' | '2'
  Signature: string
  SigningCertURL: string
}

export interface PublisherOptions {
  topicArn?: string
  /** The certificate's common name, one more name (2: DNS, 6: URI; the common name without), dates and key. */
  commonName?: string
  altName?: { type: 2 | 6; value: string }
  notBefore?: Date
  notAfter?: Date
  keySize?: number
}

/** What a message is made of; `set` adds or replaces fields before they are signed. */
export interface MessageOptions {
  message?: string
  subject?: string
  messageId?: string
  timestamp?: string
  version?: '1' | '2'
  set?: Record<string, unknown>
}

export const TEST_TOPIC = 'arn:aws:sns:us-east-1:123456789012:alerts'

const SIGNED = ['Message', 'MessageId', 'Subject', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type']

const CONFIRMED = `<ConfirmSubscriptionResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><ConfirmSubscriptionResult>
<SubscriptionArn>arn:aws:sns:us-east-1:123456789012:alerts:2bcfbf39-05c3-41de-beaa-fcfcc21c8f55</SubscriptionArn>
</ConfirmSubscriptionResult></ConfirmSubscriptionResponse>`

export async function createSnsPublisher(options: PublisherOptions = {}) {
  const { topicArn = TEST_TOPIC, commonName = 'sns.amazonaws.com', keySize = 2048 } = options
  const day = 24 * 3600 * 1000
  const { private: pem, cert: certificate } = await generate([{ name: 'commonName', value: commonName }], {
    algorithm: 'sha256',
    keySize,
    ...(options.altName && { extensions: [{ name: 'subjectAltName', altNames: [options.altName] }] }),
    notBeforeDate: options.notBefore ?? new Date(Date.now() - day),
    notAfterDate: options.notAfter ?? new Date(Date.now() + 180 * day),
  })
  const privateKey = createPrivateKey(pem)
  const certificatePath = `/SimpleNotificationService-${randomUUID().replaceAll('-', '')}.pem`
  let server: Server | undefined
  let origin = `https://sns.${topicArn.split(':')[3]}.amazonaws.com`
  let confirmations = 0
  let certificateFetches = 0

  const respond: RequestListener = (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    if (url.pathname === certificatePath) {
      certificateFetches++
      response.end(certificate)
    } else if (url.searchParams.get('Action') === 'ConfirmSubscription') {
      confirmations++
      response.setHeader('content-type', 'text/xml').end(CONFIRMED)
    } else response.writeHead(404).end('<ErrorResponse/>')
  }

  /** Signs the fields that this type signs, those of them that are there. */
  function sign(fields: Record<string, unknown>, version: '1' | '2'): Envelope {
    const isNotification = fields.Type === 'Notification'
    const text = SIGNED.filter((key) => key in fields && (isNotification || key !== 'Subject'))
      .map((key) => `${key}\n${String(fields[key])}\n`)
      .join('')
    const signer = createSign(version === '1' ? 'RSA-SHA1' : 'RSA-SHA256').update(text, 'utf8')
    return {
      ...fields,
      SignatureVersion: version,
      Signature: signer.sign(privateKey, 'base64'),
      SigningCertURL: origin + certificatePath,
    } as Envelope
  }

  function common(type: string, { message = '{}', messageId, timestamp }: MessageOptions) {
    return {
      Type: type,
      MessageId: messageId ?? randomUUID(),
      TopicArn: topicArn,
      Message: message,
      Timestamp: timestamp ?? new Date().toISOString(),
    }
  }

  function confirmation(type: string, options: MessageOptions): Envelope {
    const token =
      '2336412f37fb687f5d51e6e241d09c805a5a57b30d712f794cc5f6a988666d92768dd60a747ba6f3beb71854e285d6ad02428b09ceece29417f1f02d609c582a'
    const query = new URLSearchParams({ Action: 'ConfirmSubscription', TopicArn: topicArn, Token: token })
    const fields = { ...common(type, options), Token: token, SubscribeURL: `${origin}/?${query}`, ...options.set }
    return sign(fields, options.version ?? '1')
  }

  const publisher = {
    topicArn,
    certificate,
    /** What the loopback server answers; replace it to misbehave. */
    respond,
    get origin() {
      return origin
    },
    get confirmations() {
      return confirmations
    },
    get certificateFetches() {
      return certificateFetches
    },
    notification(options: MessageOptions = {}): Envelope {
      const subject = options.subject === undefined ? {} : { Subject: options.subject }
      const envelope = sign({ ...common('Notification', options), ...subject, ...options.set }, options.version ?? '1')
      return { ...envelope, UnsubscribeURL: `${origin}/?Action=Unsubscribe&SubscriptionArn=${topicArn}:x` }
    },
    subscriptionConfirmation: (options: MessageOptions = {}) =>
      confirmation('SubscriptionConfirmation', { message: `You have chosen to subscribe to ${topicArn}.`, ...options }),
    unsubscribeConfirmation: (options: MessageOptions = {}) =>
      confirmation('UnsubscribeConfirmation', {
        message: 'You have chosen to deactivate the subscription.',
        ...options,
      }),
    async serve(): Promise<void> {
      server = createServer((request, response) => publisher.respond(request, response))
      await once(server.listen(0, '127.0.0.1'), 'listening')
      origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    },
    async close(): Promise<void> {
      if (!server) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
  return publisher
}

export type SnsPublisher = Awaited<ReturnType<typeof createSnsPublisher>>
