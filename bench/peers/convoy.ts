/**
 * Convoy (its OpenAPI document): an endpoint with a subscription for each receiver, all of one owner; an event is fanned out to
 * the endpoints of an owner. The token is that of one project, which exists.
 */
import { randomUUID } from 'node:crypto'
import { at, bearer, createApi, EVENT_TYPE, type Target } from './target.js'

interface Made {
  data: { uid: string }
}

export function convoy(origin: string, token: string, project: string): Target {
  const api = createApi('convoy', origin, bearer(token))
  const root = `/api/v1/projects/${project}`
  return {
    name: 'Convoy',
    async prepare(receivers) {
      const owner = `bench-${randomUUID()}`
      const made: string[] = []
      for (const [index, url] of receivers.entries()) {
        const name = `${owner}-${index}`
        const endpoint = await api<Made>('POST', `${root}/endpoints`, { name, url, owner_id: owner })
        made.push(`${root}/endpoints/${endpoint.data.uid}`)
        await api('POST', `${root}/subscriptions`, { name, endpoint_id: endpoint.data.uid })
      }
      return {
        publishing: {
          url: at(origin, `${root}/events/fanout`),
          headers: bearer(token),
          before: `{"owner_id":"${owner}","event_type":"${EVENT_TYPE}","data":`,
          after: '}',
        },
        async remove() {
          for (const path of made) await api('DELETE', path)
        },
      }
    },
    close: async () => {},
  }
}
