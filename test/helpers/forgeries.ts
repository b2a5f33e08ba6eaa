/**
 * Forgeries of a signed SNS message: each takes a message as SNS sent it and changes something in it.
 *
 * Guarantee: every one of them differs from its original in what is signed, in its signature or in the certificate that it names,
 * except those of `mutatedBodies`, which change any byte of the body.
 */
import {
  constants,
  createHmac,
  createPrivateKey,
  generateKeyPairSync,
  privateEncrypt,
  sign,
  X509Certificate,
} from 'node:crypto'
import type { Envelope } from './sns-publisher.js'

export type Forgery = [name: string, body: Record<string, unknown>]

const SIGNED = ['Type', 'MessageId', 'TopicArn', 'Message', 'Timestamp', 'Subject', 'Token', 'SubscribeURL']
/** One of each class: a space, a line break, NUL, what looks like nothing, a letter of another script, half a pair, a quote. */
const INSERTED = [' ', '\n', '\r', '\t', '\0', '\u200b', '\ufeff', '\u0430', '\ud800', '"', '\\', '%00', 'A', '0']
const OTHER_TYPES = [null, 0, 1, true, false, [], {}, ['x'], { a: 'x' }, '']
const TYPES = ['Notification', 'SubscriptionConfirmation', 'UnsubscribeConfirmation']

/** Each signed field, changed in every way that changes its value. */
export function changedFields(envelope: Envelope): Forgery[] {
  const forgeries: Forgery[] = []
  for (const key of SIGNED.filter((name) => name in envelope)) {
    const text = String(envelope[key])
    const values = new Set<unknown>([...changedTexts(text), ...OTHER_TYPES, [text], { [key]: text }, Number(text)])
    for (const value of values) {
      if (value === text) continue
      // an empty Subject says the same as none
      if (key === 'Subject' && text === '' && (value === '' || value === null)) continue
      forgeries.push([`${key} ${JSON.stringify(value)?.slice(0, 40)}`, { ...envelope, [key]: value }])
    }
    const { [key]: _, ...without } = envelope
    if (key !== 'Subject' || text !== '') forgeries.push([`without ${key}`, without])
  }
  return forgeries
}

function changedTexts(text: string): string[] {
  const places = [0, 1, Math.floor(text.length / 2), text.length - 1, text.length].filter((place) => place >= 0)
  const inserted = places.flatMap((at) => INSERTED.map((what) => text.slice(0, at) + what + text.slice(at)))
  const removed = places.map((at) => text.slice(0, at) + text.slice(at + 1))
  const flipped = places.flatMap((at) =>
    [1, 2, 4, 0x20, 0x80].map(
      (bit) => text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ bit) + text.slice(at + 1),
    ),
  )
  const whole = [text + text, text.toUpperCase(), text.toLowerCase(), text.normalize('NFD'), text.trim() + ' ', 'x']
  return [...inserted, ...removed, ...flipped, ...whole, [...text].reverse().join('')]
}

/** Text moved from one field to its neighbour in the signed text, by the line breaks that separate them. */
export function movedBoundaries(envelope: Envelope): Forgery[] {
  const keys = [...SIGNED].sort().filter((key) => key in envelope)
  return keys.flatMap((first) =>
    keys
      .filter((second) => second !== first)
      .flatMap((second): Forgery[] => {
        const [a, b] = [String(envelope[first]), String(envelope[second])]
        return [
          [`${first} takes ${second}`, { ...envelope, [first]: `${a}\n${second}\n${b}`, [second]: b }],
          [`${first} takes all of ${second}`, { ...envelope, [first]: `${a}\n${second}\n${b}`, [second]: '' }],
          [`${second} takes ${first}`, { ...envelope, [second]: `${first}\n${a}\n${b}`, [first]: a }],
          [`${first} and ${second} swapped`, { ...envelope, [first]: b, [second]: a }],
        ]
      }),
  )
}

/** The message as one of another type, with the fields that it needs. */
export function otherTypes(envelope: Envelope, url: string): Forgery[] {
  return TYPES.filter((type) => type !== envelope.Type).map((type) => [
    `as ${type}`,
    { Token: 'x', SubscribeURL: url, ...envelope, Type: type },
  ])
}

/** A bit of every byte of the signature changed, some bytes of it removed, and what else is no signature of this text. */
export function changedSignatures(envelope: Envelope): Forgery[] {
  const bytes = Buffer.from(envelope.Signature, 'base64')
  const with_ = (name: string, signature: Buffer | string): Forgery => [
    `signature: ${name}`,
    { ...envelope, Signature: typeof signature === 'string' ? signature : signature.toString('base64') },
  ]
  const flipped = Array.from(bytes, (byte, at) => {
    const changed = Buffer.from(bytes)
    changed[at] = byte ^ (1 << (at % 8))
    return with_(`bit ${at % 8} of byte ${at}`, changed)
  })
  const removed = Array.from({ length: 16 }, (_, i) => 16 * i).map((at) =>
    with_(`without byte ${at}`, Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)])),
  )
  const zeros = (count: number) => Buffer.alloc(count)
  return [
    ...flipped,
    ...removed,
    with_('nothing', ''),
    with_('zeros', zeros(256)),
    with_('one', Buffer.concat([zeros(255), Buffer.of(1)])),
    with_('ones', Buffer.alloc(256, 0xff)),
    with_('a zero before it', Buffer.concat([zeros(1), bytes])),
    with_('a zero after it', Buffer.concat([bytes, zeros(1)])),
    with_('reversed', Buffer.from(bytes).reverse()),
    with_('twice', Buffer.concat([bytes, bytes])),
    with_('half', bytes.subarray(0, 128)),
    with_('its negative', numberToBytes(modulusOf(bytes) - toNumber(bytes))),
  ]
}

/** Signatures that another key or another scheme made of the very text. @param text as it is signed */
export function foreignSignatures(envelope: Envelope, { text, pem }: { text: string; pem: string }): Forgery[] {
  const data = Buffer.from(text, 'utf8')
  const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }).privateKey
  const own = rsa(2048)
  const digest = envelope.SignatureVersion === '1' ? 'sha1' : 'sha256'
  const { publicKey } = new X509Certificate(pem)
  const publicPem = publicKey.export({ type: 'spki', format: 'pem' })
  const publicDer = publicKey.export({ type: 'spki', format: 'der' })
  const of = (name: string, signature: Buffer): Forgery => [
    `signed ${name}`,
    { ...envelope, Signature: signature.toString('base64') },
  ]
  return [
    of('by another key', sign(digest, data, own)),
    of('by another key of 4096 bits', sign(digest, data, rsa(4096))),
    of('by another key, with PSS', sign(digest, data, { key: own, padding: constants.RSA_PKCS1_PSS_PADDING })),
    of('by another key, without the digest', privateEncrypt(own, data.subarray(0, 200))),
    of('on a curve', sign(digest, data, generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey)),
    of('by Ed25519', sign(null, data, generateKeyPairSync('ed25519').privateKey)),
    of('by HMAC with the certificate as key', createHmac('sha256', pem).update(data).digest()),
    of('by HMAC with the public key as key', createHmac('sha256', publicPem).update(data).digest()),
    of('by HMAC with the key in DER as key', createHmac('sha256', publicDer).update(data).digest()),
  ]
}

/** Signed by the right key, but not as this version says. */
export function otherSchemes(
  envelope: Envelope,
  { text, privatePem }: { text: string; privatePem: string },
): Forgery[] {
  const key = createPrivateKey(privatePem)
  const data = Buffer.from(text, 'utf8')
  const right = envelope.SignatureVersion === '1' ? 'sha1' : 'sha256'
  const others = ['md5', 'sha1', 'sha224', 'sha256', 'sha384', 'sha512'].filter((digest) => digest !== right)
  const of = (name: string, signature: Buffer): Forgery => [
    `the right key, ${name}`,
    { ...envelope, Signature: signature.toString('base64') },
  ]
  return [
    ...others.map((digest) => of(digest, sign(digest, data, key))),
    of('PSS', sign(right, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING })),
    of('the text alone', privateEncrypt(key, data.subarray(0, 200))),
    ...['1', '2', '3', '0', '', '1 ', '2.0', 1, 2, null].flatMap((version): Forgery[] =>
      version === envelope.SignatureVersion
        ? []
        : [[`SignatureVersion ${JSON.stringify(version)}`, { ...envelope, SignatureVersion: version }]],
    ),
  ]
}

/** The body with one bit of one byte changed, for every third byte of it: each field has many. */
export function* mutatedBodies(envelope: Envelope): Generator<Buffer> {
  const body = Buffer.from(JSON.stringify(envelope))
  for (let at = 0; at < body.length; at += 3) {
    const changed = Buffer.from(body)
    changed[at]! ^= 1 << (at % 7)
    yield changed
  }
}

function toNumber(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`)
}

/** Larger than any signature of as many bytes. */
function modulusOf(bytes: Buffer): bigint {
  return 1n << BigInt(bytes.length * 8)
}

function numberToBytes(number: bigint): Buffer {
  return Buffer.from(number.toString(16).padStart(512, '0'), 'hex')
}
