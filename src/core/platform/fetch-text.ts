/** Fetches short texts from URLs that the caller has checked: certificates and subscription confirmations. */
import { Agent, request } from 'undici'
import { lookupWithLocalStack } from './localstack.js'

export interface FetchedText {
  status: number
  body: string
}

/** To each host; sns/fetch-queue.ts bounds what is fetched. */
const agent = new Agent({ connections: 16, connect: { timeout: 3000, lookup: lookupWithLocalStack } })

/**
 * Sends a GET. Redirects are not followed, and proxy variables are not read.
 * @param limits.timeoutMs from the start to the last byte of the body
 * @throws Error when the answer is not complete in time or larger than `limits.maxBytes`
 */
export async function fetchText(url: URL, limits: { timeoutMs: number; maxBytes: number }): Promise<FetchedText> {
  const signal = AbortSignal.timeout(limits.timeoutMs)
  const { statusCode: status, body } = await request(url, { dispatcher: agent, signal, headers: { accept: '*/*' } })
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // Leaving the loop destroys the body and its connection.
    if (bytes > limits.maxBytes) throw new Error(`${url.host} answered more than ${limits.maxBytes} bytes`)
    chunks.push(chunk)
  }
  return { status, body: Buffer.concat(chunks).toString('utf8') }
}
