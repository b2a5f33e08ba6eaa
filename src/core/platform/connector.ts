/**
 * Connections to webhooks: the protection against server-side request forgery (SSRF).
 *
 * Guarantee: no byte is sent to an address that address.ts refuses, whatever a URL or a DNS server says. Every socket
 * is opened here, and its address is checked three times: when it is written in the URL (node:net does not look those
 * up), in every DNS answer (the socket gets only the addresses that passed, so a name that changes between check and
 * use gains nothing), and as the peer's address once connected.
 */
import type { LookupAddress } from 'node:dns'
import { lookup } from 'node:dns/promises'
import { isIP, type LookupFunction } from 'node:net'
import type { SecureContext } from 'node:tls'
import { buildConnector } from 'undici'
import type { AddressRule } from './address.js'
import { watchSocket } from './socket-watch.js'

/** All addresses of a name. */
export type Resolve = (hostname: string) => Promise<LookupAddress[]>

export interface ConnectorOptions {
  mayReach: AddressRule
  /** Default: the operating system's resolver. */
  resolve: Resolve | undefined
  secureContext: SecureContext | undefined
}

/** The address of a target may not be reached. */
export class TargetRefused extends Error {
  constructor(what: string) {
    super(`${what}, not a public address; ALLOW_PRIVATE_TARGETS lists what else webhooks may reach`)
  }
}

/** An attempt's deadline may be earlier. */
const CONNECT_TIMEOUT_MS = 10_000

/** A connector for an undici agent; a refused address is a `TargetRefused` error. */
export function createConnector({ mayReach, resolve = resolveAll, secureContext }: ConnectorOptions) {
  const connect = buildConnector({
    secureContext,
    lookup: createLookup(mayReach, resolve),
    timeout: CONNECT_TIMEOUT_MS,
    // Makes node:net request all addresses from `lookup` and try them in turn (RFC 8305), each for this long. The
    // default of 250 ms is too short for a connection between continents.
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 1_000,
  })
  const checked: buildConnector.connector = (options, callback) => {
    if (isIP(options.hostname) !== 0 && !mayReach(options.hostname)) {
      // undici calls this synchronously: a callback in the same tick would find it in an unfinished state.
      process.nextTick(callback, new TargetRefused(`the target is ${options.hostname}`), null)
      return
    }
    connect(options, (error, socket) => {
      if (error) return callback(error, null)
      const peer = socket.remoteAddress
      if (peer !== undefined && mayReach(peer)) return callback(null, watchSocket(socket))
      socket.destroy()
      callback(peer ? new TargetRefused(`connected to ${peer}`) : new Error('closed as soon as connected'), null)
    })
  }
  return checked
}

/** A lookup that returns to node:net every address that passed, and no other. */
function createLookup(mayReach: AddressRule, resolve: Resolve): LookupFunction {
  return (hostname, _options, callback) => {
    resolve(hostname).then(
      (answers) => {
        const passed = answers.filter(({ address }) => mayReach(address))
        if (passed.length > 0) return callback(null, passed)
        const found = answers.map(({ address }) => address).join(', ') || 'nothing'
        callback(new TargetRefused(`${hostname} resolves to ${found}`), [])
      },
      (error: Error) => callback(error, []),
    )
  }
}

function resolveAll(hostname: string): Promise<LookupAddress[]> {
  return lookup(hostname, { all: true })
}
