/**
 * Secrets of a webhook in what its receiver answers: some quote the request. Pure.
 *
 * Guarantee: what is hidden holds none of them as they were sent or as JSON writes them, nor the beginning of one at its end,
 * where an answer may be cut.
 */
import { MASK } from '../webhook/credentials-mask.js'
import type { PrivateFields } from '../webhook/webhook.js'

/** Shorter ones are words like `prod`, which say nothing and would be hidden in everything. */
const MIN_LENGTH = 6

/** @param sent the headers of a request that authenticate it */
export function secretTexts(
  { headers, auth, format_options: options }: Pick<PrivateFields, 'headers' | 'auth' | 'format_options'>,
  sent: Readonly<Record<string, string>>,
): string[] {
  const texts = [...Object.values(headers), options.routing_key]
  for (const value of Object.values(sent)) texts.push(value, value.slice(value.indexOf(' ') + 1))
  if (auth?.type === 'basic') texts.push(auth.password)
  return texts.filter((text): text is string => text !== undefined && text.length >= MIN_LENGTH)
}

export function hideSecrets(text: string, secrets: readonly string[]): string {
  let hidden = text
  for (const secret of secrets) {
    for (const form of new Set([secret, JSON.stringify(secret).slice(1, -1)])) {
      hidden = withoutBeginning(hidden.replaceAll(form, MASK), form)
    }
  }
  return hidden
}

function withoutBeginning(text: string, secret: string): string {
  for (let length = secret.length - 1; length >= MIN_LENGTH; length--) {
    if (text.endsWith(secret.slice(0, length))) return text.slice(0, -length) + MASK
  }
  return text
}
