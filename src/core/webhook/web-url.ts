/** URLs that requests go to. Pure: where they lead is checked at each connection, when their name is resolved. */

/** What is wrong with a URL: it must be http or https, without credentials and fragment; undefined when nothing is. */
export function webUrlProblem(text: string): string | undefined {
  if (!URL.canParse(text)) return 'must be an absolute URL such as https://example.com/hook'
  const url = new URL(text)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'must start with https:// or http://'
  if (url.username || url.password) return 'must not carry credentials'
  if (url.hash) return 'must not have a fragment (#...)'
  return undefined
}
