/**
 * The three message types of SNS, and the text that is signed of each. Pure. Source: AWS, "Parsing Amazon SNS message
 * formats" and "Verifying the signatures of Amazon SNS messages".
 *
 * Guarantee: a parsed message has the fields of its type, all of them bounded strings, and nothing else of the body.
 */
import { Type, type Static, type TObject } from 'typebox'
import { Compile } from 'typebox/compile'
import { parseTopicArn } from '../platform/topic-pattern.js'
import { Refusal, type FieldError } from '../platform/errors.js'
import { utf8Text } from '../platform/text.js'

/** Bounded by the size of the body alone. */
const Text = Type.String()
/**
 * Without line breaks: they separate the fields of the signed text, so another field with one could imitate field
 * boundaries.
 */
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
  // AWS (SNS, Publish): a Subject has no line breaks. With one, a signed Message could be presented as a shorter
  // Message with a forged MessageId and Subject.
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

/**
 * The signed fields in the order of the signed text. Unsigned fields (UnsubscribeURL, MessageAttributes) are never
 * used.
 */
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

/**
 * Parses the body of a POST.
 * @throws Refusal 'malformed_message' that names each wrong field
 */
export function parseSnsMessage(body: Uint8Array): SnsMessage {
  const envelope = parseEnvelope(body)
  const shape = SHAPES.get(envelope.Type)
  if (!shape) throw malformed([{ path: '/Type', detail: `must be one of ${[...SHAPES.keys()].join(', ')}` }])
  const fields: Record<string, unknown> = {}
  for (const key of shape.keys) {
    // Some emulators send "Subject": null where SNS omits it; it is not signed then.
    if (Object.hasOwn(envelope, key) && !(key === 'Subject' && envelope[key] === null)) fields[key] = envelope[key]
  }
  const errors = fieldErrors(shape, fields)
  if (errors.length > 0) throw malformed(errors)
  return fields as unknown as SnsMessage
}

/**
 * The texts of which one is signed. An empty Subject, which SNS does not send, may or may not be signed: goaws sends it
 * with what has no Subject. It says the same either way.
 */
export function textsToSign(message: SnsMessage): string[] {
  const text = stringToSign(message)
  if (message.Type !== 'Notification' || message.Subject !== '') return [text]
  return [text, stringToSign({ ...message, Subject: undefined })]
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
    envelope = JSON.parse(utf8Text(body))
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
    // The signed text is UTF-8, in which every lone surrogate becomes U+FFFD: different texts would have one signature.
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
