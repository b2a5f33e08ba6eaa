/** The relay's API, from whichever process answers: nothing is known here that an operator could not ask. */
import { setTimeout as pause } from 'node:timers/promises'
import { RETRY_SCHEDULE_S, type Demands, type Part } from './cast.js'

export interface RegisteredWebhook {
  id: string
  secret: string
  /** What the relay understood. */
  demands: Demands
}

export interface RelayApi {
  register(part: Part, url: string): Promise<RegisteredWebhook>
  /** Disables and enables: what waits is let go of. */
  poke(webhookId: string): Promise<void>
  countUndispatched(): Promise<number>
  /** Deliveries of a webhook in a state, counted up to a page. */
  countDeliveries(webhookId: string, status: string): Promise<number>
  /** All that the API knows of an event at a webhook, one JSON line a part. */
  explain(eventId: string, webhookId: string): Promise<string[]>
}

interface Page {
  data: { id: string; dispatched_at?: string | null }[]
  next_cursor: string | null
}

const TRIES = 20

/** @param urls the API processes */
export function createRelayApi(urls: () => string[], key: string): RelayApi {
  async function ask<T>(method: string, path: string, body?: object): Promise<{ status: number; body: T }> {
    for (let tried = 1; ; tried++) {
      const url = urls()[tried % urls().length]! + path
      const answer = await fetch(url, {
        method,
        headers: { authorization: `Bearer ${key}`, ...(body && { 'content-type': 'application/json' }) },
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout(20_000),
      }).catch((error: Error) => error)
      if (!(answer instanceof Error) && answer.status < 500) {
        const text = await answer.text()
        return { status: answer.status, body: (text === '' ? undefined : JSON.parse(text)) as T }
      }
      const problem = answer instanceof Error ? answer : new Error(await answer.text())
      if (tried === TRIES) throw new Error(`${method} ${path} got no answer`, { cause: problem })
      await pause(500)
    }
  }

  async function must<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await ask<T>(method, path, body)
    if (answer.status < 300) return answer.body
    throw new Error(`${method} ${path} was answered ${answer.status}: ${JSON.stringify(answer.body)}`)
  }

  return {
    async register(part, url) {
      const { name: description, timeoutMs, demands } = part
      const fields = { url, description, timeout_ms: timeoutMs, retry_schedule_s: RETRY_SCHEDULE_S }
      const answer = await ask<RegisteredWebhook>('POST', '/v1/webhooks', { ...fields, ...demands })
      if (answer.status === 201) return { ...answer.body, demands }
      return { ...(await must<RegisteredWebhook>('POST', '/v1/webhooks', fields)), demands: {} }
    },
    async poke(webhookId) {
      for (const status of ['disabled', 'enabled']) await must('PATCH', `/v1/webhooks/${webhookId}`, { status })
    },
    async countUndispatched() {
      let count = 0
      let cursor: string | null = null
      do {
        const query = new URLSearchParams({ limit: '100', ...(cursor !== null && { cursor }) })
        const page: Page = await must('GET', `/v1/events?${query}`)
        count += page.data.filter((event) => event.dispatched_at === null).length
        cursor = page.next_cursor
      } while (cursor !== null)
      return count
    },
    async countDeliveries(webhookId, status) {
      const page = await must<Page>('GET', `/v1/webhooks/${webhookId}/deliveries?status=${status}&limit=100`)
      return page.data.length
    },
    async explain(eventId, webhookId) {
      const { body, payload, ...event } = await must<Record<string, unknown>>('GET', `/v1/events/${eventId}`)
      const query = new URLSearchParams({ webhook_id: webhookId })
      const { data } = await must<Page>('GET', `/v1/events/${eventId}/deliveries?${query}`)
      const deliveries = await Promise.all(data.map(({ id }) => must<object>('GET', `/v1/deliveries/${id}`)))
      return [event, ...deliveries].map((part) => JSON.stringify(part))
    },
  }
}
