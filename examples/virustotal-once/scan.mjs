// Looks up every hash, address, domain and URL at VirusTotal once, however many alerts it is in. The relay records which
// values it has sent; a webhook made with
//
//   { "url": "...", "once": { "paths": ["file.hash.*", "related.ip"], "within": "30d" }, "rate_per_second": 0.06 }
//
// gets only events with new values, which are in `indicators`.
//
//   npm install standardwebhooks
//   WEBHOOK_SECRET=whsec_... SCANNER_API_KEY=... PORT=9000 node scan.mjs
import { createServer } from 'node:http'
import { isIP } from 'node:net'
import { text } from 'node:stream/consumers'
import { Webhook } from 'standardwebhooks'

const { WEBHOOK_SECRET, SCANNER_API_KEY = '', SCANNER_URL = 'https://www.virustotal.com/api/v3', PORT } = process.env
const MAX_BODY_BYTES = 10 * 1024 * 1024
const SCAN_TIMEOUT_MS = 5000
const CACHE_MS = 24 * 3600 * 1000

const webhook = new Webhook(WEBHOOK_SECRET)
/** Running and finished scans, by value: a hash may be at two paths, and an event answered 503 is sent again. */
const scans = new Map()

const server = createServer(async (request, response) => {
  if (!(Number(request.headers['content-length']) <= MAX_BODY_BYTES)) return response.writeHead(413).end()
  let event
  try {
    event = webhook.verify(await text(request), request.headers)
  } catch {
    return response.writeHead(401).end()
  }
  try {
    // The answer depends on the scans. After a 503 the relay sends the event again, not before the time in Retry-After;
    // finished scans are not repeated.
    for (const { value } of event.indicators ?? []) await scanOnce(value)
    response.writeHead(204).end()
  } catch (error) {
    console.log('not now:', error.message)
    response.writeHead(503, { 'retry-after': error.retryAfter ?? '60' }).end()
  }
})

function scanOnce(value) {
  if (!scans.has(value)) {
    scans.set(value, scan(value))
    scans.get(value).catch(() => scans.delete(value))
    setTimeout(() => scans.delete(value), CACHE_MS).unref()
  }
  return scans.get(value)
}

async function scan(value) {
  const path = pathOf(value)
  if (path === undefined) return
  const headers = { 'x-apikey': SCANNER_API_KEY }
  const answer = await fetch(SCANNER_URL + path, { headers, signal: AbortSignal.timeout(SCAN_TIMEOUT_MS) })
  if (answer.status === 429) {
    throw Object.assign(new Error('no quota left'), { retryAfter: answer.headers.get('retry-after') ?? undefined })
  }
  if (answer.status >= 500 || answer.status === 401) throw new Error(`the scanner answered ${answer.status}`)
  // Any other error (404: unknown) is a result, too: a retry would not change it.
  const report = answer.ok ? await answer.json() : undefined
  console.log('scanned', JSON.stringify(value), report?.data?.attributes?.last_analysis_stats ?? answer.status)
}

/** The path of VirusTotal's report on a value; undefined for a value of an unknown kind. */
function pathOf(value) {
  if (typeof value !== 'string') return undefined
  if (isIP(value)) return `/ip_addresses/${encodeURIComponent(value)}`
  if (/^([0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$/i.test(value)) return `/files/${value}`
  if (/^https?:\/\//i.test(value)) return `/urls/${Buffer.from(value).toString('base64url')}`
  if (/^[\w-]+(\.[\w-]+)+$/.test(value)) return `/domains/${value}`
  return undefined
}

server.listen(Number(PORT ?? 9000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/`)
})
