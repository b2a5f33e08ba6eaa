/**
 * Svix (its OpenAPI document): an application with an endpoint for each receiver; a message is of an application, and goes to
 * all its endpoints.
 */
import { at, bearer, createApi, EVENT_TYPE, type Target } from './target.js'

export function svix(origin: string, token: string): Target {
  const api = createApi('svix', origin, bearer(token))
  return {
    name: 'Svix',
    async prepare(receivers) {
      const { id } = await api('POST', '/api/v1/app', { name: 'bench' })
      for (const url of receivers) await api('POST', `/api/v1/app/${id}/endpoint`, { url })
      return {
        publishing: {
          // the answer would repeat the payload otherwise
          url: at(origin, `/api/v1/app/${id}/msg?with_content=false`),
          headers: bearer(token),
          before: `{"eventType":"${EVENT_TYPE}","payload":`,
          after: '}',
        },
        remove: () => api<void>('DELETE', `/api/v1/app/${id}`),
      }
    },
    close: async () => {},
  }
}
