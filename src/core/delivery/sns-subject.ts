/** The Subject of what is published to an SNS topic, which e-mail subscriptions show. Pure. */
import type { StoredEvent } from '../event/event.js'

/** SNS: "less than 100 characters long" (Publish, Subject). */
export const MAX_SUBJECT_LENGTH = 99

/**
 * Severity, type and title of an event, such as "[high] alert.created: Root login": printable ASCII that begins with a
 * bracket or a letter, as SNS asks. Accents are taken off; each other run of characters becomes a question mark.
 * https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
 */
export function snsSubject({
  type,
  severity,
  title,
  subject,
}: Pick<StoredEvent, 'type' | 'severity'> & Partial<Pick<StoredEvent, 'title' | 'subject'>>): string {
  const label = severity ? `[${severity}] ${type}` : type
  const text = title || subject ? `${label}: ${title || subject}` : label
  return text
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .replace(/[^\x20-\x7e]+/g, '?')
    .slice(0, MAX_SUBJECT_LENGTH)
    .trimEnd()
}
