/**
 * How a URL is shown whose path and query may be a secret: whoever has the URL of a Slack or Teams webhook may post there. Pure.
 *
 * Guarantee: a masked URL holds the origin and at most four characters more. What is masked already stays as it is.
 */

/** Stands for the path and the query. A URL whose path begins so is taken for a masked one. */
const HIDDEN = '/...'
const SHOWN = 4
/** Of a path and query that are shorter, four characters would say too much: nothing is shown. */
const MIN_LENGTH = 12
const MASKED = new RegExp(`^https?://[^/?#@\\s]+/\\.{3}\\S{0,${SHOWN}}$`, 'i')

/**
 * The origin and the last four characters of a web URL; one without path and query is shown whole, and so is what is no web URL,
 * such as the ARN of a topic.
 * @example maskUrl('https://hooks.slack.com/services/T0/B0/x9a1b2') // 'https://hooks.slack.com/...a1b2'
 */
export function maskUrl(text: string): string {
  if (isMaskedUrl(text) || !/^https?:/i.test(text) || !URL.canParse(text)) return text
  const { origin, username, password, hash } = new URL(text)
  const secret = secretOfUrl(text)
  if (secret === undefined) return username || password || hash ? `${origin}/` : text
  return `${origin}${HIDDEN}${secret.length < MIN_LENGTH ? '' : secret.slice(-SHOWN)}`
}

/** True for a URL in the form that `maskUrl` gives to one with a path or a query. */
export function isMaskedUrl(text: string): boolean {
  return MASKED.test(text)
}

/** The path and query of a web URL as they are sent; undefined when there is nothing secret. */
export function secretOfUrl(text: string): string | undefined {
  if (!/^https?:/i.test(text) || !URL.canParse(text)) return undefined
  const { pathname, search } = new URL(text)
  return pathname === '/' && search === '' ? undefined : pathname + search
}
