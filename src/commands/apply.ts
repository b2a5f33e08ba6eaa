/**
 * `alert-relay apply`: makes the webhooks and sources of a running relay match a file.
 *
 * Guarantee: no request is sent before the whole file is valid, and changes are printed before they are made. A second run
 * changes nothing. A run that stops half-way lists what was done, and the next run does the rest.
 */
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { messageOf } from '../core/platform/errors.js'
import type { OwnSource } from '../core/source/own-source.js'
import type { WebhookView } from '../core/webhook/webhook.js'
import { carryOut, secretPath } from './apply-changes.js'
import { CLIENT_OPTIONS, openClient, type Client } from './client.js'
import { CommandError, printable, UsageError, type Command, type CommandIo } from './command.js'
import { describe, joinPlans, planChanges, planSources, type Change, type Current, type Plan } from './plan.js'
import type { Desired } from './registry-entry.js'
import { readRegistryFile, type RegistryFile } from './registry-file.js'

const USAGE = `
  alert-relay apply -f webhooks.yaml [--dry-run | --check] [--prune] [--force-secrets] [--show-secrets] [--url URL]

  Makes the webhooks and sources of the relay at --url, by default the one here, those of the file. One is known by its name;
  what the file leaves out of it has its default. A list that the file does not have (webhooks, sources) is left alone.
  \${env:NAME} in a text is the environment variable NAME.

  --dry-run        prints what would change, and changes nothing
  --check          the same, and exits with 2 when something would; a wrong command line is 2 too, with nothing on stdout
  --prune          deletes webhooks that the file does not name, and sources, if it has a list of them; webhooks without a
                   name are never touched
  --force-secrets  sends every secret again: the relay hides what it has, so those that it has count as the file's
  --show-secrets   prints the signing secrets of new webhooks
`

/** 1,000 webhooks with every field set need less. */
const MAX_FILE_BYTES = 2 * 1024 * 1024

const OPTIONS = {
  ...CLIENT_OPTIONS,
  file: { type: 'string', short: 'f' },
  'dry-run': { type: 'boolean', default: false },
  check: { type: 'boolean', default: false },
  prune: { type: 'boolean', default: false },
  'force-secrets': { type: 'boolean', default: false },
  'show-secrets': { type: 'boolean', default: false },
} as const

/** The exit code of --check when something would change. */
const WOULD_CHANGE = 2

export const applyCommand: Command = {
  usage: USAGE,
  async run(args, io) {
    const { values } = parseArgs({ args, options: OPTIONS })
    const { url, file, prune } = values
    if (file === undefined) throw new UsageError('apply needs -f FILE')
    const desired = await readDesired(file, io)
    const client = await openClient({ url, env: io.env })
    const plan = await planFile(desired, client, { prune, forceSecrets: values['force-secrets'] })
    for (const change of plan.changes) describe(change).forEach((line) => io.print(line))
    printNotes(plan, io)
    const isDry = values['dry-run'] || values.check
    if (!isDry) await carryOut(plan.changes, { client, file, io, showSecrets: values['show-secrets'] })
    io.print(summaryOf(plan, isDry))
    return values.check && plan.changes.length > 0 ? WOULD_CHANGE : 0
  },
}

/** The changes of the lists that the file has. */
async function planFile(
  { webhooks, sources }: RegistryFile,
  client: Client,
  options: { prune: boolean; forceSecrets: boolean },
): Promise<Plan> {
  const plans: Plan[] = []
  if (webhooks) plans.push(planChanges(webhooks, await readCurrent(client, webhooks), options))
  if (sources) {
    const current: OwnSource[] = []
    for await (const source of client.list<OwnSource>('/v1/sources')) current.push(source)
    plans.push(planSources(sources, current, options))
  }
  return joinPlans(plans)
}

async function readDesired(file: string, { env, note }: CommandIo): Promise<RegistryFile> {
  const read = readRegistryFile(await readText(file), env)
  if (!('problems' in read)) return read
  for (const { line, text } of read.problems) note(printable(`${file}:${line}: ${text}`))
  const { length } = read.problems
  throw new CommandError(`${file} is not applied: ${length === 1 ? 'a problem' : `${length} problems`}`)
}

async function readText(file: string): Promise<string> {
  const bytes = await readFile(file).catch((error: unknown) => {
    throw new CommandError(`${file} cannot be read: ${messageOf(error)}`, { cause: error })
  })
  if (bytes.length > MAX_FILE_BYTES) throw new CommandError(`${file} is larger than ${MAX_FILE_BYTES} bytes`)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new CommandError(`${file} is not UTF-8`, { cause: error })
  }
}

/** Reads the relay's webhooks, and the signing secrets of those for which the file sets one. */
async function readCurrent(client: Client, desired: Desired[]): Promise<Current[]> {
  const withSecret = new Set(desired.filter(({ secret }) => secret !== undefined).map(({ name }) => name))
  const current: Current[] = []
  for await (const webhook of client.list<WebhookView>('/v1/webhooks')) {
    const isCompared = webhook.name !== null && withSecret.has(webhook.name)
    const path = secretPath(webhook.id)
    const signing = isCompared ? await client.request<{ secret: string | null }>('GET', path) : {}
    current.push({ ...webhook, ...signing })
  }
  return current
}

function printNotes({ unlisted, unnamed, hidden }: Plan, { note }: CommandIo): void {
  if (unlisted.length > 0) note(printable(`not in the file, left alone (--prune deletes): ${unlisted.join(', ')}`))
  if (unnamed > 0) note(`without a name, left alone: ${unnamed}`)
  if (hidden > 0) note(`secrets that the relay hides and that count as equal (--force-secrets sends them): ${hidden}`)
}

function summaryOf({ changes, unchanged }: Plan, isDry: boolean): string {
  const count = (kind: Change['kind']) => changes.filter((change) => change.kind === kind).length
  const [created, changed, deleted] = isDry
    ? ['to create', 'to change', 'to delete']
    : ['created', 'changed', 'deleted']
  return `${count('create')} ${created}, ${count('update')} ${changed}, ${count('delete')} ${deleted}, ${unchanged} unchanged`
}
