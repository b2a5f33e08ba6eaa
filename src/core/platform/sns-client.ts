/**
 * Publishing to SNS topics, through the AWS SDK. Credentials come from the SDK's default chain, an emulator's endpoint
 * from AWS_ENDPOINT_URL_SNS.
 *
 * Guarantee: nothing is published to a topic that SNS_PUBLISH_TOPICS does not list: the relay's AWS credentials may allow more than
 * whoever makes webhooks should. What AWS or the network does is an outcome, as for a webhook, never an exception. The SDK does not retry:
 * the relay does, and records each attempt.
 */
import type { SNSClient } from '@aws-sdk/client-sns'
import { messageOf } from './errors.js'
import type { HttpOutcome } from './http-client.js'
import { storable } from './text.js'
import { matchesTopic } from './topic-pattern.js'

export interface Publication {
  topicArn: string
  message: string
  /** Printable ASCII of at most 99 characters that begins with a letter, a number or punctuation. */
  subject: string
  /** String attributes, by name. */
  attributes: Record<string, string>
  /** Used for FIFO topics alone (MessageGroupId and MessageDeduplicationId). */
  groupId: string
  deduplicationId: string
  timeoutMs: number
}

export interface SnsClient {
  publish(publication: Publication): Promise<HttpOutcome>
  close(): void
}

/** What is wrong with a topic as a target; undefined: it may be published to. @param allowed SNS_PUBLISH_TOPICS */
export function publishProblem(allowed: readonly string[], topicArn: string): string | undefined {
  if (matchesTopic(allowed, topicArn)) return undefined
  return 'is a topic that SNS_PUBLISH_TOPICS does not list: add it to that setting of the relay'
}

/** @param allowed patterns of the topics that may be published to */
export function createSnsClient(allowed: readonly string[]): SnsClient {
  const clients = new Map<string, SNSClient>()
  return {
    async publish(publication) {
      const problem = publishProblem(allowed, publication.topicArn)
      if (problem !== undefined) {
        return { kind: 'target_refused', error: `the url ${problem}`, durationMs: 0, answerLost: false }
      }
      const started = performance.now()
      const sdk = await loadSdk()
      const region = publication.topicArn.split(':')[3]!
      const client = clients.get(region) ?? new sdk.SNSClient({ region, maxAttempts: 1 })
      clients.set(region, client)
      const result = await send(sdk, client, publication)
      return { ...result, durationMs: Math.round(performance.now() - started) }
    },
    close() {
      for (const client of clients.values()) client.destroy()
    },
  }
}

type Sdk = typeof import('@aws-sdk/client-sns')

/** Loaded by the first publication: most relays publish to no topic. */
async function loadSdk(): Promise<Sdk> {
  return import('@aws-sdk/client-sns')
}

async function send({ PublishCommand, SNSServiceException }: Sdk, client: SNSClient, publication: Publication) {
  const { topicArn, message, subject, attributes, groupId, deduplicationId, timeoutMs } = publication
  const command = new PublishCommand({
    TopicArn: topicArn,
    Message: message,
    Subject: subject,
    MessageAttributes: Object.fromEntries(
      Object.entries(attributes).map(([name, value]) => [name, { DataType: 'String', StringValue: value }]),
    ),
    ...(topicArn.endsWith('.fifo') ? { MessageGroupId: groupId, MessageDeduplicationId: deduplicationId } : {}),
  })
  const abortSignal = AbortSignal.timeout(timeoutMs)
  try {
    const { MessageId: messageId = '' } = await client.send(command, { abortSignal })
    return { kind: 'response' as const, statusCode: 200, retryAfter: null, body: messageId, answerLost: false }
  } catch (error) {
    const answerLost = true // the SDK does not say whether the request was sent
    if (abortSignal.aborted) return { kind: 'timeout' as const, error: `no answer within ${timeoutMs} ms`, answerLost }
    const status = error instanceof SNSServiceException ? error.$metadata.httpStatusCode : undefined
    if (status === undefined) return { kind: 'connection_failed' as const, error: messageOf(error), answerLost }
    const body = `${(error as Error).name}: ${messageOf(error)}`
    const final = isFinal(error as Error)
      ? `SNS can never take this message: ${storable(body).replace(/\s+/g, ' ').slice(0, 300)}`
      : undefined
    return { kind: 'response' as const, statusCode: status, retryAfter: null, body, final, answerLost: false }
  }
}

/**
 * The errors of Publish (HTTP 400) about the content of a request, by the names of the SDK and of the wire. All others may
 * end without another message: throttling, credentials, permissions, the state of a key in KMS, a missing topic.
 * https://docs.aws.amazon.com/sns/latest/api/API_Publish.html and CommonErrors.html
 */
const FINAL_ERRORS: ReadonlySet<string> = new Set(
  ['InvalidParameter', 'InvalidParameterValue', 'ParameterValueInvalid', 'Validation', 'ValidationError'].flatMap(
    (name) => [name, `${name}Exception`],
  ),
)

/** A wrong topic is the webhook's fault, not the message's: the webhook can be corrected while the delivery waits. */
function isFinal({ name, message }: Error): boolean {
  return FINAL_ERRORS.has(name) && !/\bTopicArn\b/i.test(message)
}
