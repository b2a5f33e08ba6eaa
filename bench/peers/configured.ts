/** The peers whose addresses are set; for each of the others, one line that names the variables it needs. */
import { convoy } from './convoy.js'
import { outpost } from './outpost.js'
import { svix } from './svix.js'
import type { Target } from './target.js'
import { webhookx } from './webhookx.js'

type Environment = Readonly<Record<string, string | undefined>>

interface Kind {
  name: string
  variables: readonly string[]
  /** Takes the values of the variables. */
  create(...values: string[]): Target
}

const KINDS: readonly Kind[] = [
  { name: 'Svix', variables: ['PEER_SVIX_URL', 'PEER_SVIX_TOKEN'], create: svix },
  { name: 'Outpost', variables: ['PEER_OUTPOST_URL', 'PEER_OUTPOST_TOKEN'], create: outpost },
  { name: 'WebhookX', variables: ['PEER_WEBHOOKX_URL', 'PEER_WEBHOOKX_INGEST_URL'], create: webhookx },
  { name: 'Convoy', variables: ['PEER_CONVOY_URL', 'PEER_CONVOY_TOKEN', 'PEER_CONVOY_PROJECT'], create: convoy },
]

export function configuredPeers(environment: Environment): { peers: Target[]; left: string[] } {
  const peers: Target[] = []
  const left: string[] = []
  for (const { name, variables, create } of KINDS) {
    const missing = variables.filter((variable) => !environment[variable])
    if (missing.length === 0) peers.push(create(...variables.map((variable) => environment[variable]!)))
    else left.push(`${name} is left out: set ${missing.join(' and ')}`)
  }
  return { peers, left }
}
