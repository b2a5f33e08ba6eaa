/** The syntax of URLs that requests are sent to. Pure: their addresses are checked at each connection (address.ts). */

/** @returns what is wrong with a URL, which must be http or https without credentials and fragment; undefined when it is valid */
export function webUrlProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return 'must be an absolute URL such as https://example.com/hook'
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must start with https:// or http://'
  if (url.username || url.password) return 'must not carry credentials'
  if (url.hash) return 'must not have a fragment (#...)'
  return undefined
}

/** Whether two URLs have the same scheme, host and port (RFC 6454 section 4), or are the same. */
export function areOfOneOrigin(one: string, other: string): boolean {
  return one === other || originOf(one) === originOf(other)
}

function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined
}
