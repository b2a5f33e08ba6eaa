/** Alert ids of findings. Pure. */
import { hash } from 'node:crypto'
import type { Json } from '../platform/json.js'
import { textAt } from './fields.js'

/** What an alert id may have (alert/change). */
export const MAX_ALERT_ID = 200
const UNPRINTABLE = /[\p{Cc}\p{Cs}]/gu
const HASH_CHARACTERS = 40

/** An ARN of any partition: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html */
const ARN = /^arn:(aws[\w-]*):[\w-]+:([\w-]*):([\w-]*):./

export interface Arn {
  partition: string
  region: string | undefined
  account: string | undefined
}

/** The parts of an ARN; undefined for any other value. */
export function arnOf(value: Json | undefined): Arn | undefined {
  const found = ARN.exec(textAt(value) ?? '')
  if (!found) return undefined
  const [, partition, region, account] = found
  return { partition: partition!, region: region || undefined, account: account || undefined }
}

/**
 * One id from the parts of an identity, in their order. Two different lists give different ids. One that is too long, or
 * that cannot be printed, becomes its readable beginning, `~` and a hash of the whole.
 * @returns undefined when a part is missing
 */
export function identityOf(...parts: (string | undefined)[]): string | undefined {
  if (parts.some((part) => part === undefined || part === '')) return undefined
  const last = parts.length - 1
  const id = parts.map((part, index) => (index < last ? part!.replaceAll('|', '%7C') : part)).join('|')
  if (id.length <= MAX_ALERT_ID && id.search(UNPRINTABLE) === -1) return id
  const prefix = id.slice(0, MAX_ALERT_ID - HASH_CHARACTERS - 1).replaceAll(UNPRINTABLE, '_')
  return `${prefix}~${hash('sha256', JSON.stringify(id)).slice(0, HASH_CHARACTERS)}`
}
