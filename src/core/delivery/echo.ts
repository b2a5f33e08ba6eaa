/**
 * Secrets of a webhook in what its receiver answers: some quote the request. Pure.
 *
 * Guarantee: what is hidden holds none of them as they were sent or as JSON writes them, nor the beginning of one at its end,
 * where an answer may be cut.
 */
import { secretOfUrl } from '../platform/url-mask.js'
import { MASK } from '../webhook/credentials-mask.js'
import type { Webhook } from '../webhook/webhook.js'

/** Shorter ones are words like `prod`, which say nothing and would be hidden in everything. */
const MIN_LENGTH = 6

/** Parts of a path and a query that are shorter are words like `services`. */
const MIN_PART_LENGTH = 10

/** @param sent the headers of a request that authenticate it */
export function secretTexts(
  { url, headers, auth, format_options: options }: Pick<Webhook, 'url' | 'headers' | 'auth' | 'format_options'>,
  sent: Readonly<Record<string, string>>,
): string[] {
  const texts = [...urlTexts(url), ...Object.values(headers), options.routing_key]
  for (const value of Object.values(sent)) texts.push(value, value.slice(value.indexOf(' ') + 1))
  if (auth?.type === 'basic') texts.push(auth.password)
  return texts.filter((text): text is string => text !== undefined && text.length >= MIN_LENGTH)
}

/** The path and the query of a URL, which servers quote that do not know the path, and the parts that are long enough for a secret. */
function urlTexts(url: string): string[] {
  const secret = secretOfUrl(url)
  if (secret === undefined) return []
  const [path = '', ...query] = secret.split('?')
  const parts = secret.split(/[/?&=]/).filter((part) => part.length >= MIN_PART_LENGTH)
  const texts = [secret, path, query.join('?'), ...parts]
  return [...new Set([...texts, ...texts.map(decoded)])].sort((a, b) => b.length - a.length)
}

/** As servers quote it that decode what they are sent. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
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
