/**
 * Agents by TLS material: which connections may be shared.
 *
 * Promise: a connection or TLS session made with one identity, or with one idea of whom to trust, never serves another;
 * the agents kept are bounded, and none is dropped while something of it is in flight.
 */
import { createHash } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'

/** PEM texts. */
export interface TlsMaterial {
  /** Our certificate, with what leads from it to its authority, and its key without a passphrase. */
  cert?: string
  key?: string
  /** Whom to trust instead of the public authorities: roots, intermediates or the very certificate. */
  ca?: string
}

export interface TlsAgents<Agent> {
  /**
   * Works with the agent for this material, the plain one without.
   * @param onUnfit makes the result when OpenSSL does not take the material; its messages quote none of it
   */
  use<T>(tls: TlsMaterial | undefined, work: (agent: Agent) => Promise<T>, onUnfit: (error: Error) => T): Promise<T>
  /** Destroys every agent; afterwards all work gets the plain one, which says so. */
  close(): Promise<void>
}

/** More are kept only while all of them are at work. */
const MAX_AGENTS = 200

export function createTlsAgents<Agent extends { destroy(): Promise<void> }>(
  createAgent: (secureContext?: SecureContext) => Agent,
): TlsAgents<Agent> {
  const plain = createAgent()
  /** The least recently used first. */
  const entries = new Map<string, { agent: Agent; inFlight: number }>()
  let closed = false

  function entryFor(tls: TlsMaterial) {
    const key = createHash('sha256')
      .update(JSON.stringify([tls.cert, tls.key, tls.ca]))
      .digest('base64')
    const entry = entries.get(key) ?? { agent: createAgent(secureContextOf(tls)), inFlight: 0 }
    entries.delete(key)
    for (const [other, { agent, inFlight }] of entries) {
      if (entries.size < MAX_AGENTS) break
      if (inFlight > 0) continue
      entries.delete(other)
      void agent.destroy()
    }
    entries.set(key, entry)
    return entry
  }

  return {
    async use(tls, work, onUnfit) {
      if (tls === undefined || closed) return work(plain)
      let entry
      try {
        entry = entryFor(tls)
      } catch (error) {
        return onUnfit(error as Error)
      }
      entry.inFlight++
      try {
        return await work(entry.agent)
      } finally {
        entry.inFlight--
      }
    },
    async close() {
      closed = true
      const agents = [plain, ...[...entries.values()].map(({ agent }) => agent)]
      entries.clear()
      await Promise.all(agents.map((agent) => agent.destroy()))
    },
  }
}

/** Parsed once for all connections. A partial chain: who lists an intermediate, or the very certificate, means it. */
function secureContextOf({ cert, key, ca }: TlsMaterial): SecureContext {
  return createSecureContext({ cert, key, ca, allowPartialTrustChain: ca !== undefined })
}
