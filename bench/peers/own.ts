/** alert-relay, started for the run, as its users reach it (POST /v1/messages with a key); and the bare loop. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Backend } from '../backend.js'
import type { Teardowns } from '../program.js'
import { createWebhooks, KEY, startPair } from '../relay.js'
import { bearer, createApi, type Target } from './target.js'

/** Longer than the slowest receiver takes. */
const UNDER_WAY_MS = 1000

export async function alertRelay(t: Teardowns, backend: Backend): Promise<Target> {
  const { api, all } = await startPair(t, await backend.createStorage(t), '')
  const request = createApi('alert-relay', api.url, bearer(KEY))
  return {
    name: 'alert-relay',
    async prepare(receivers) {
      const ids = await createWebhooks(api, receivers.length, (index) => ({ url: receivers[index] }))
      return {
        publishing: { url: `${api.url}/v1/messages`, headers: bearer(KEY), before: '', after: '' },
        async remove() {
          // a backlog is deleted when nothing of it is under way any more
          for (const id of ids) await request('PATCH', `/v1/webhooks/${id}`, { status: 'disabled' })
          await sleep(UNDER_WAY_MS)
          for (const id of ids) await request<void>('DELETE', `/v1/webhooks/${id}`)
        },
      }
    },
    async close() {
      for (const relay of all) await relay.stop()
    },
  }
}

/** The load posts to the receiver itself; to the first of several. */
export const bare: Target = {
  name: 'bare',
  prepare: async ([receiver]) => ({
    publishing: { url: receiver!, headers: {}, before: '', after: '', answersLate: true },
    remove: async () => {},
  }),
  close: async () => {},
}
