/**
 * One agent (a pool of connections) for each TLS material.
 *
 * Guarantee: a connection or TLS session made with one client certificate, or one set of trusted authorities, is never
 * used with another. The number of agents is bounded, and no agent with a request in flight is destroyed.
 */
import { createHash } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'

/** PEM texts. */
export interface TlsMaterial {
  /** The client certificate with its intermediates, and its key without a passphrase. */
  cert?: string
  key?: string
  /** What is trusted instead of the public authorities: roots, intermediates or the receiver's own certificate. */
  ca?: string
}

export interface TlsAgents<Agent> {
  /**
   * Runs the work with the agent for this material; undefined: with the default agent.
   * @param onUnfit makes the result when OpenSSL does not accept the material; OpenSSL's messages quote none of it
   */
  use<T>(tls: TlsMaterial | undefined, work: (agent: Agent) => Promise<T>, onUnfit: (error: Error) => T): Promise<T>
  /** Destroys every agent; later work gets the default agent, whose requests fail because it is destroyed. */
  close(): Promise<void>
}

/** Exceeded only while all agents have requests in flight. */
const MAX_AGENTS = 200

export function createTlsAgents<Agent extends { destroy(): Promise<void> }>(
  createAgent: (secureContext?: SecureContext) => Agent,
): TlsAgents<Agent> {
  const defaultAgent = createAgent()
  /** In order of use, the least recently used first. */
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
      if (tls === undefined || closed) return work(defaultAgent)
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
      const agents = [defaultAgent, ...[...entries.values()].map(({ agent }) => agent)]
      entries.clear()
      await Promise.all(agents.map((agent) => agent.destroy()))
    },
  }
}

/**
 * A partial chain is allowed, so that an intermediate or the receiver's own certificate may be trusted without its
 * root.
 */
function secureContextOf({ cert, key, ca }: TlsMaterial): SecureContext {
  return createSecureContext({ cert, key, ca, allowPartialTrustChain: ca !== undefined })
}
