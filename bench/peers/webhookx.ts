/**
 * WebhookX (its OpenAPI document and README): an endpoint for each receiver, of one event type, and an HTTP source, to whose
 * path on the ingest address an event is posted: it goes to all endpoints of its type. The admin API needs no token by default.
 */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { at, createApi, type Target } from './target.js'

const ROOT = '/workspaces/default'
const SERVED_TIMEOUT_MS = 10_000
const POLL_MS = 100

export function webhookx(admin: string, ingest: string): Target {
  const api = createApi('webhookx', admin, {})
  return {
    name: 'WebhookX',
    async prepare(receivers) {
      // a type of its own, since all endpoints of a workspace are one fan-out
      const run = randomUUID()
      const made: string[] = []
      const make = async (kind: string, fields: object) => {
        const { id } = await api('POST', `${ROOT}/${kind}`, fields)
        made.push(`${ROOT}/${kind}/${id}`)
      }
      for (const url of receivers) {
        await make('endpoints', { events: [`bench.${run}`], request: { url, method: 'POST' } })
      }
      await make('sources', { type: 'http', config: { http: { path: `/bench/${run}`, methods: ['POST'] } } })
      const url = at(ingest, `/bench/${run}`)
      await untilServed(url)
      return {
        publishing: {
          url,
          headers: {},
          before: `{"event_type":"bench.${run}","data":`,
          after: '}',
        },
        async remove() {
          for (const path of made) await api<void>('DELETE', path)
        },
      }
    },
    close: async () => {},
  }
}

/** A source is served a moment after it is made; until then its path is not found. Nothing is sent for a body that is no event. */
async function untilServed(url: string): Promise<void> {
  for (const deadline = performance.now() + SERVED_TIMEOUT_MS; performance.now() < deadline; await sleep(POLL_MS)) {
    const answer = await fetch(url, { method: 'POST', body: '{}' })
    await answer.text()
    if (answer.status !== 404) return
  }
  throw new Error(`webhookx: POST ${url} is not found`)
}
