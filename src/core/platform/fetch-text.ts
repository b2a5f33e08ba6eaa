/** Short texts from a URL that was checked before: certificates and subscription confirmations. */
import { Agent, request } from 'undici'

export interface FetchedText {
  status: number
  body: string
}

/** Certificates come from a handful of hosts, and seldom. */
const agent = new Agent({ connections: 4, connect: { timeout: 3000 } })

/**
 * GETs a URL. Redirects are answers, not followed; proxies of the environment are not used.
 * @param limits.timeoutMs for everything, the last byte included
 * @throws Error when there is no answer in time or it is larger than `limits.maxBytes`
 */
export async function fetchText(url: URL, limits: { timeoutMs: number; maxBytes: number }): Promise<FetchedText> {
  const signal = AbortSignal.timeout(limits.timeoutMs)
  const { statusCode: status, body } = await request(url, { dispatcher: agent, signal, headers: { accept: '*/*' } })
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // Leaving the loop destroys the body, and with it the connection.
    if (bytes > limits.maxBytes) throw new Error(`${url.host} answered more than ${limits.maxBytes} bytes`)
    chunks.push(chunk)
  }
  return { status, body: Buffer.concat(chunks).toString('utf8') }
}
