/**
 * A substitute for SNS in tests: it signs messages as SNS does, with its own key and certificate.
 *
 * Guarantee: messages are signed over the fields that AWS documents, by code that is independent of the relay's verifier.
 * Without `serve` its URLs have the AWS host of the topic's region; after `serve`, that of a loopback server that serves the
 * certificate and ConfirmSubscription, as an emulator does (setting: SNS_EMULATOR).
 *
 *   const publisher = await createSnsPublisher({ topicArn })
 *   await publisher.serve()                       // optional; then publisher.origin is SNS_EMULATOR
 *   t.teardown(() => publisher.close())
 *   const envelope = publisher.notification({ message: '{...}', version: '2' })
 *   publisher.respond = (request, response) => {} // replaces the responses: this one hangs
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
  /** The certificate: common name, one alternative name (2: DNS, 6: URI; default: the common name), dates and key. */
  commonName?: string
  altName?: { type: 2 | 6; value: string }
  notBefore?: Date
  notAfter?: Date
  keySize?: number
}

/** The parts of a message; `set` adds or replaces fields before they are signed. */
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
  let served = certificate

  const respond: RequestListener = (request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost')
    if (url.pathname === certificatePath) {
      certificateFetches++
      response.end(served)
    } else if (url.searchParams.get('Action') === 'ConfirmSubscription') {
      confirmations++
      response.setHeader('content-type', 'text/xml').end(CONFIRMED)
    } else response.writeHead(404).end('<ErrorResponse/>')
  }

  /** Signs the fields that AWS lists for the message's type, if they are present. */
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
    privatePem: pem,
    /** The responses of the loopback server; replace it to send others. */
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
    /** Serves another certificate at the same URL, as an emulator does after a restart. */
    replaceCertificate(pem: string): void {
      served = pem
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
