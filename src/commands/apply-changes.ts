/**
 * The changes of `alert-relay apply`, asked of the relay one by one.
 *
 * Promise: the first refusal stops it, and says where in the file it is, what was done and what was not.
 */
import type { Client } from './client.js'
import { CommandError, printable, type CommandIo } from './command.js'
import type { Change } from './plan.js'

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
      if (made) tellSecret(made, { io, showSecrets })
    } catch (error) {
      if (!(error instanceof CommandError)) throw error
      const name = nameOf(change)
      io.tell(printable(`done: ${changes.slice(0, done).map(nameOf).join(', ') || 'nothing'}`))
      io.tell(printable(`not done: ${changes.slice(done).map(nameOf).join(', ')}`))
      const place = change.kind === 'delete' ? '' : `${file}:${change.desired.lineOf(pointerIn(error.message))}: `
      throw new CommandError(printable(`${place}${name}: ${error.message}`), { cause: error })
    }
  }
}

interface Made {
  id: string
  name: string
  /** Null where there is a public key instead. */
  secret: string | null
  public_key: string | null
}

/** @returns a webhook that was made with a secret of the relay's making */
async function carryOutOne(change: Change, client: Client): Promise<Made | undefined> {
  if (change.kind === 'delete') {
    await client.request('DELETE', `/v1/webhooks/${change.id}`)
    return undefined
  }
  if (change.kind === 'create') {
    const made = await client.request<Made>('POST', '/v1/webhooks', change.desired.body)
    return change.desired.secret === undefined ? made : undefined
  }
  const { id, patch, rotation } = change
  if (patch) await client.request('PATCH', `/v1/webhooks/${id}`, patch)
  if (rotation) await client.request('POST', `${secretPath(id)}/rotate`, rotation)
  return undefined
}

function tellSecret({ id, name, secret, public_key: key }: Made, options: Pick<Carrying, 'io' | 'showSecrets'>): void {
  const { io, showSecrets } = options
  if (secret === null) io.print(`${name} signs with the key ${key}`)
  else if (showSecrets) io.print(`${name} signs with ${secret}`)
  else io.tell(`${name} is ${id}; its signing secret is at GET ${secretPath(id)}`)
}

/** Where the relay answers with a webhook's signing secret. */
export function secretPath(id: string): string {
  return `/v1/webhooks/${id}/secret`
}

function nameOf(change: Change): string {
  return change.kind === 'delete' ? change.name : change.desired.name
}

/** A problem's detail begins with the field at fault: `url must ...`, or `body/url must ...` where its shape is wrong. */
function pointerIn(detail: string): string {
  const [field = ''] = detail.split(' ')
  return `/${field.replace(/^body\/?/, '')}`
}
