/**
 * What SNS posts: its three message types and the text that each signs. Pure.
 *
 * Promise: a parsed message has the fields of its type, all of them strings within bounds; of everything else the body
 * held nothing is kept. Source: AWS, "Parsing Amazon SNS message formats" and "Verifying the signatures".
 */
import { Type, type Static, type TObject } from 'typebox'
import { Compile } from 'typebox/compile'
import { parseTopicArn } from '../event/topic-pattern.js'
import { Refusal, type FieldError } from '../platform/errors.js'

/** A field that stays out of the log and the database: bounded by the body alone. */
const Text = Type.String()
/** The signed text separates fields by line breaks alone: where one is allowed besides Message, it could be cut elsewhere. */
const Word = Type.String({ pattern: '^[\\x21-\\x7e]{1,4096}$' })

const common = {
  MessageId: Type.String({ pattern: '^[\\x21-\\x7e]{1,100}$' }),
  TopicArn: Type.String({ minLength: 1, maxLength: 400 }),
  Message: Text,
  Timestamp: Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(\\.\\d{1,9})?Z$' }),
  SignatureVersion: Type.Unsafe<'1' | '2'>({ type: 'string', enum: ['1', '2'] }),
  Signature: Type.String({ pattern: '^[A-Za-z0-9+/]{40,1500}={0,2}$' }),
  SigningCertURL: Word,
}
const confirmation = { ...common, Token: Word, SubscribeURL: Word }

const Notification = Type.Object({
  Type: Type.Literal('Notification'),
  ...common,
  // AWS (SNS, Publish): no line breaks in a Subject. With one, a signed Message could be passed off as a shorter Message
  // with a MessageId and Subject of the forger's choice.
  Subject: Type.Optional(Type.String({ maxLength: 1000, pattern: '^[^\\n]*$' })),
})
const SubscriptionConfirmation = Type.Object({ Type: Type.Literal('SubscriptionConfirmation'), ...confirmation })
const UnsubscribeConfirmation = Type.Object({ Type: Type.Literal('UnsubscribeConfirmation'), ...confirmation })

export type Notification = Static<typeof Notification>
export type SubscriptionConfirmation = Static<typeof SubscriptionConfirmation>
export type UnsubscribeConfirmation = Static<typeof UnsubscribeConfirmation>
export type SnsMessage = Notification | SubscriptionConfirmation | UnsubscribeConfirmation

const SHAPES = new Map<unknown, Shape>([
  ['Notification', shapeOf(Notification)],
  ['SubscriptionConfirmation', shapeOf(SubscriptionConfirmation)],
  ['UnsubscribeConfirmation', shapeOf(UnsubscribeConfirmation)],
])

interface Shape {
  keys: string[]
  check: { Check(value: unknown): boolean; Errors(value: unknown): { instancePath: string; message: string }[] }
}

/** What is signed, in this order: unsigned fields (UnsubscribeURL, MessageAttributes) decide nothing anywhere. */
const SIGNED_IN_NOTIFICATION = ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type'] as const
const SIGNED_IN_CONFIRMATION = [
  'Message',
  'MessageId',
  'SubscribeURL',
  'Timestamp',
  'Token',
  'TopicArn',
  'Type',
] as const

const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * Reads the body of a POST.
 * @throws Refusal 'malformed_message' that names each field at fault
 */
export function parseSnsMessage(body: Uint8Array): SnsMessage {
  const envelope = parseEnvelope(body)
  const shape = SHAPES.get(envelope.Type)
  if (!shape) throw malformed([{ path: '/Type', detail: `must be one of ${[...SHAPES.keys()].join(', ')}` }])
  const fields: Record<string, unknown> = {}
  for (const key of shape.keys) {
    // Some emulators send "Subject": null for no subject; SNS leaves it out, and it is not signed then.
    if (Object.hasOwn(envelope, key) && !(key === 'Subject' && envelope[key] === null)) fields[key] = envelope[key]
  }
  const errors = fieldErrors(shape, fields)
  if (errors.length > 0) throw malformed(errors)
  return fields as unknown as SnsMessage
}

/** The text that SNS signs: `Key\nValue\n` for each signed field that is present. */
export function stringToSign(message: SnsMessage): string {
  const fields: Record<string, string | undefined> = { ...message }
  const keys = message.Type === 'Notification' ? SIGNED_IN_NOTIFICATION : SIGNED_IN_CONFIRMATION
  return keys.map((key) => (fields[key] === undefined ? '' : `${key}\n${fields[key]}\n`)).join('')
}

function shapeOf(schema: TObject): Shape {
  return { keys: Object.keys(schema.properties), check: Compile(schema) as unknown as Shape['check'] }
}

function parseEnvelope(body: Uint8Array): Record<string, unknown> {
  let envelope: unknown
  try {
    envelope = JSON.parse(utf8.decode(body))
  } catch (error) {
    throw new Refusal('malformed_message', 'The body is not JSON in UTF-8: SNS posts one JSON object.', {
      cause: error,
    })
  }
  if (typeof envelope !== 'object' || envelope === null || Array.isArray(envelope)) {
    throw new Refusal('malformed_message', 'The body is not a JSON object, as SNS posts it.')
  }
  return envelope as Record<string, unknown>
}

function fieldErrors({ keys, check }: Shape, fields: Record<string, unknown>): FieldError[] {
  if (!check.Check(fields)) {
    const missing = keys.filter((key) => key !== 'Subject' && !Object.hasOwn(fields, key))
    const wrong = check.Errors(fields).filter(({ instancePath }) => instancePath !== '')
    return [
      ...missing.map((key) => ({ path: `/${key}`, detail: 'is required' })),
      ...wrong.map(({ instancePath, message }) => ({ path: instancePath, detail: message })),
    ]
  }
  const errors: FieldError[] = []
  if (!parseTopicArn(String(fields.TopicArn))) errors.push({ path: '/TopicArn', detail: 'is no SNS topic ARN' })
  if (Number.isNaN(Date.parse(String(fields.Timestamp)))) errors.push({ path: '/Timestamp', detail: 'is no time' })
  for (const key of ['Message', 'Subject']) {
    // In UTF-8, which is what is signed, every lone surrogate is the same U+FFFD: one could stand for another.
    if (!String(fields[key] ?? '').isWellFormed()) {
      errors.push({ path: `/${key}`, detail: 'is not well-formed Unicode' })
    }
  }
  return errors
}

function malformed(errors: FieldError[]): Refusal {
  const detail = errors.map(({ path, detail }) => `${path} ${detail}`).join('; ')
  return new Refusal('malformed_message', `This is no message of SNS: ${detail}.`, { errors })
}
