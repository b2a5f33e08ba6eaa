// A receiver of alert-relay's webhooks: verifies requests, processes every event once, and answers before it processes.
//
//   npm install standardwebhooks
//   WEBHOOK_SECRET=whsec_... PORT=9000 node receiver.mjs
import { createServer } from 'node:http'
import { Webhook } from 'standardwebhooks'

const MAX_BODY_BYTES = 10 * 1024 * 1024

const webhook = new Webhook(process.env.WEBHOOK_SECRET)
/** Ids of the events received. In memory for brevity: a table with a unique column survives a restart, and can be pruned. */
const received = new Set()

const server = createServer(async (request, response) => {
  const answer = (status) => response.writeHead(status).end()
  const body = await readBody(request).catch(() => undefined)
  if (body === undefined) return answer(413)
  let event
  try {
    // The signature is over the bytes as received: verify first, parse later. The library accepts a request when one of
    // its signatures matches (there are two while a secret is rotated), compares in constant time, so that a signature
    // cannot be guessed byte by byte, and refuses timestamps more than five minutes off, so that a recorded request is
    // not accepted later.
    event = webhook.verify(body, request.headers)
  } catch {
    return answer(401)
  }
  const id = request.headers['webhook-id'] // the same at every retry and replay, and signed
  if (!received.has(id)) {
    received.add(id)
    // If no event may be lost, store it here, before the answer: after a 2xx the relay does not send it again.
    setImmediate(work, event)
  }
  answer(204)
})

/** Slow work belongs here: the relay waits 15 seconds for an answer, and retries without one. */
function work({ relay, context_diff: diff }) {
  // the contents of an alert are untrusted: JSON.stringify escapes line breaks
  console.log('took', relay.event_id, JSON.stringify(diff))
}

async function readBody(request) {
  const chunks = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) throw new RangeError('body too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

server.listen(Number(process.env.PORT ?? 9000), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}/`)
})
