// A receiver of alert-relay's webhooks: verifies, takes every event once, answers at once and works afterwards.
//
//   npm install standardwebhooks
//   WEBHOOK_SECRET=whsec_... PORT=9000 node receiver.mjs
import { createServer } from 'node:http'
import { Webhook } from 'standardwebhooks'

const MAX_BODY_BYTES = 10 * 1024 * 1024

const webhook = new Webhook(process.env.WEBHOOK_SECRET)
/** Ids of events. In memory for brevity: a table with a unique column survives a restart, and can be pruned. */
const taken = new Set()

const server = createServer(async (request, response) => {
  const answer = (status) => response.writeHead(status).end()
  const body = await readBody(request).catch(() => undefined)
  if (body === undefined) return answer(413)
  let event
  try {
    // The signature is over the bytes as they came: verify first, parse later. The library takes a request when any of
    // its signatures is right (there are two while a secret is being rotated), compares in constant time, so that nobody
    // can guess one byte by byte, and refuses timestamps more than five minutes off: what somebody recorded must not be
    // taken again later.
    event = webhook.verify(body, request.headers)
  } catch {
    return answer(401)
  }
  const id = request.headers['webhook-id'] // the same at every retry and replay, and signed
  if (!taken.has(id)) {
    taken.add(id)
    // Where work must not get lost, store the event here, before the answer: after a 2xx it is yours.
    setImmediate(work, event)
  }
  answer(204)
})

/** Slow things go here: the relay waits 15 seconds for an answer, and tries again when there is none. */
function work({ relay, context_diff: news }) {
  // attackers write what is in an alert: JSON.stringify leaves no line breaks in it
  console.log('took', relay.event_id, JSON.stringify(news))
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
