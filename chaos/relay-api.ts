/** A client of the relay's API. It tries the API processes in turn until one answers. */
import { setTimeout as pause } from 'node:timers/promises'
import { RETRY_SCHEDULE_S, type WebhookOptions, type WebhookSpec } from './webhooks.js'

export interface RegisteredWebhook {
  id: string
  secret: string
  /** The options that the relay supports. */
  supported: WebhookOptions
}

export interface RelayApi {
  register(spec: WebhookSpec, url: string): Promise<RegisteredWebhook>
  /** Disables and enables a webhook, which makes its waiting deliveries due. */
  reenable(webhookId: string): Promise<void>
  countUndispatched(): Promise<number>
  /** The number of deliveries of a webhook in a state, at most one page. */
  countDeliveries(webhookId: string, status: string): Promise<number>
  /** The event and its deliveries to a webhook, one line of JSON each. */
  explain(eventId: string, webhookId: string): Promise<string[]>
}

interface Page {
  data: { id: string; dispatched_at?: string | null }[]
  next_cursor: string | null
}

const MAX_TRIES = 20

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
      if (tried === MAX_TRIES) throw new Error(`${method} ${path} got no answer`, { cause: problem })
      await pause(500)
    }
  }

  async function askOrThrow<T>(method: string, path: string, body?: object): Promise<T> {
    const answer = await ask<T>(method, path, body)
    if (answer.status < 300) return answer.body
    throw new Error(`${method} ${path} was answered ${answer.status}: ${JSON.stringify(answer.body)}`)
  }

  return {
    async register({ name: description, timeoutMs, options }, url) {
      const fields = { url, description, timeout_ms: timeoutMs, retry_schedule_s: RETRY_SCHEDULE_S }
      const answer = await ask<RegisteredWebhook>('POST', '/v1/webhooks', { ...fields, ...options })
      if (answer.status === 201) return { ...answer.body, supported: options }
      return { ...(await askOrThrow<RegisteredWebhook>('POST', '/v1/webhooks', fields)), supported: {} }
    },
    async reenable(webhookId) {
      for (const status of ['disabled', 'enabled']) await askOrThrow('PATCH', `/v1/webhooks/${webhookId}`, { status })
    },
    async countUndispatched() {
      let count = 0
      let cursor: string | null = null
      do {
        const query = new URLSearchParams({ limit: '100', ...(cursor !== null && { cursor }) })
        const page: Page = await askOrThrow('GET', `/v1/events?${query}`)
        count += page.data.filter((event) => event.dispatched_at === null).length
        cursor = page.next_cursor
      } while (cursor !== null)
      return count
    },
    async countDeliveries(webhookId, status) {
      const page = await askOrThrow<Page>('GET', `/v1/webhooks/${webhookId}/deliveries?status=${status}&limit=100`)
      return page.data.length
    },
    async explain(eventId, webhookId) {
      const { body, payload, ...event } = await askOrThrow<Record<string, unknown>>('GET', `/v1/events/${eventId}`)
      const query = new URLSearchParams({ webhook_id: webhookId })
      const { data } = await askOrThrow<Page>('GET', `/v1/events/${eventId}/deliveries?${query}`)
      const deliveries = await Promise.all(data.map(({ id }) => askOrThrow<object>('GET', `/v1/deliveries/${id}`)))
      return [event, ...deliveries].map((entry) => JSON.stringify(entry))
    },
  }
}
