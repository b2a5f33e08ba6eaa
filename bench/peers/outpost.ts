/**
 * Outpost (its OpenAPI document): a tenant with a webhook destination for each receiver, which takes every topic; an event is of
 * a tenant, and goes to all its destinations of the topic.
 */
import { randomUUID } from 'node:crypto'
import { at, bearer, createApi, EVENT_TYPE, type Target } from './target.js'

export function outpost(origin: string, token: string): Target {
  const api = createApi('outpost', origin, bearer(token))
  return {
    name: 'Outpost',
    async prepare(receivers) {
      const tenant = `bench-${randomUUID()}`
      await api('PUT', `/api/v1/tenants/${tenant}`)
      for (const url of receivers) {
        await api('POST', `/api/v1/tenants/${tenant}/destinations`, { type: 'webhook', topics: '*', config: { url } })
      }
      return {
        publishing: {
          url: at(origin, '/api/v1/publish'),
          headers: bearer(token),
          before: `{"tenant_id":"${tenant}","topic":"${EVENT_TYPE}","data":`,
          after: '}',
        },
        remove: () => api<void>('DELETE', `/api/v1/tenants/${tenant}`),
      }
    },
    close: async () => {},
  }
}
