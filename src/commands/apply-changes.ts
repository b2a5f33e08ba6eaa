/**
 * Carries out the changes of `alert-relay apply`, one request after another.
 *
 * Guarantee: it stops at the first refusal; the error has the line in the file, and stderr lists what was done and what was
 * not.
 */
import type { Client } from './client.js'
import { CommandError, printable, type CommandIo } from './command.js'
import { nameOf, type Change } from './plan.js'

interface Carrying {
  client: Client
  file: string
  io: CommandIo
  showSecrets: boolean
}

export async function carryOut(changes: Change[], { client, file, io, showSecrets }: Carrying): Promise<void> {
  for (const [done, change] of changes.entries()) {
    try {
      const made = await carryOutOne(change, client)
      if (made) reportSecret(made, { io, showSecrets })
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      const name = nameOf(change)
      io.note(printable(`done: ${changes.slice(0, done).map(nameOf).join(', ') || 'nothing'}`))
      io.note(printable(`not done: ${changes.slice(done).map(nameOf).join(', ')}`))
      const place = change.kind === 'delete' ? '' : `${file}:${change.desired.lineOf(pointerIn(error.message))}: `
      throw new CommandError(printable(`${place}${name}: ${error.message}`), { cause: error })
    }
  }
}

interface Made {
  id: string
  name: string
  /** Null for a webhook that signs with ed25519: it has a public key instead. */
  secret: string | null
  public_key: string | null
}

/** @returns the created webhook, when the relay has generated its signing secret */
async function carryOutOne(change: Change, client: Client): Promise<Made | undefined> {
  const path = `/v1/${change.of}s`
  if (change.kind === 'delete') {
    await client.request('DELETE', `${path}/${change.id}`)
    return undefined
  }
  if (change.kind === 'create') {
    const made = await client.request<Made>('POST', path, change.desired.body)
    return change.makesSecret ? made : undefined
  }
  const { id, patch, rotation } = change
  if (patch) await client.request('PATCH', `${path}/${id}`, patch)
  if (rotation) await client.request('POST', `${secretPath(id)}/rotate`, rotation)
  return undefined
}

function reportSecret(
  { id, name, secret, public_key: key }: Made,
  options: Pick<Carrying, 'io' | 'showSecrets'>,
): void {
  const { io, showSecrets } = options
  if (secret === null) io.print(`${name} signs with the key ${key}`)
  else if (showSecrets) io.print(`${name} signs with ${secret}`)
  else io.note(`${name} is ${id}; its signing secret is at GET ${secretPath(id)}`)
}

/** The API path of a webhook's signing secret. */
export function secretPath(id: string): string {
  return `/v1/webhooks/${id}/secret`
}

/** A problem's detail starts with the name of the field: `url must ...`, or `body/url must ...` for a schema error. */
function pointerIn(detail: string): string {
  const [field = ''] = detail.split(' ')
  return `/${field.replace(/^body\/?/, '')}`
}
