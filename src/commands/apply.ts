/**
 * `alert-relay apply`: makes the webhooks and sources of a running relay match a file.
 *
 * Guarantee: no request is sent before the whole file is valid, and changes are printed before they are made. A second run
 * changes nothing. A run that stops half-way lists what was done, and the next run does the rest.
 */
import { readFile } from 'node:fs/promises'
import { parseArgs } from 'node:util'
import { messageOf } from '../core/platform/errors.js'
import { isMaskedUrl, maskUrl } from '../core/platform/url-mask.js'
import type { OwnSource } from '../core/source/own-source.js'
import type { WebhookView } from '../core/webhook/webhook.js'
import { carryOut, secretPath } from './apply-changes.js'
import { CLIENT_OPTIONS, openClient, RefusedRequest, type Client } from './client.js'
import { CommandError, printable, UsageError, type Command, type CommandIo } from './command.js'
import {
  describe,
  joinPlans,
  maskedUrlProblems,
  planChanges,
  planSources,
  type Change,
  type Current,
  type Plan,
} from './plan.js'
import type { Desired } from './registry-entry.js'
import { readRegistryFile, type Problem, type RegistryFile } from './registry-file.js'

const USAGE = `
  alert-relay apply -f webhooks.yaml [--dry-run | --check] [--prune] [--force-secrets] [--show-secrets] [--url URL]

  Makes the webhooks and sources of the relay at --url, by default the one here, those of the file. One is known by its name;
  what the file leaves out of it has its default. A list that the file does not have (webhooks, sources) is left alone.
  \${env:NAME} in a text is the environment variable NAME.

  --dry-run        prints what would change, and changes nothing
  --check          the same, and exits with 2 when something would; a wrong command line is 2 too, with nothing on stdout
  --prune          deletes webhooks that the file does not name, and sources, if it has a list of them; webhooks without a
                   name are never touched
  --force-secrets  sends every secret again: the relay hides what it has, so those that it has count as the file's. The path
                   of a URL is one; a key of scope admin has it compared. A masked URL, as export prints it, is as it is
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

/** What `secretPath` answers; `url` since the version that masks URLs. */
interface SecretAnswer {
  secret: string | null
  url?: string
}

const FORBIDDEN = 403

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
    const plan = await planFile(desired, client, { file, io, prune, forceSecrets: values['force-secrets'] })
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
  { file, io, ...options }: { file: string; io: CommandIo; prune: boolean; forceSecrets: boolean },
): Promise<Plan> {
  const plans: Plan[] = []
  if (webhooks) {
    const current = await readCurrent(client, webhooks)
    const problems = maskedUrlProblems(webhooks, current)
    if (problems.length > 0) refuseFile(file, problems, io)
    plans.push(planChanges(webhooks, current, options))
  }
  if (sources) {
    const current: OwnSource[] = []
    for await (const source of client.list<OwnSource>('/v1/sources')) current.push(source)
    plans.push(planSources(sources, current, options))
  }
  return joinPlans(plans)
}

async function readDesired(file: string, io: CommandIo): Promise<RegistryFile> {
  const read = readRegistryFile(await readText(file), io.env)
  return 'problems' in read ? refuseFile(file, read.problems, io) : read
}

function refuseFile(file: string, problems: readonly Problem[], { note }: CommandIo): never {
  for (const { line, text } of problems) note(printable(`${file}:${line}: ${text}`))
  const { length } = problems
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

/**
 * Reads the relay's webhooks; the signing secrets of those for which the file sets one; and the whole URLs of those that the file
 * may have another path for, if the key may read them.
 */
async function readCurrent(client: Client, desired: Desired[]): Promise<Current[]> {
  const wanted = new Map(desired.map((one) => [one.name, one]))
  const current: Current[] = []
  let mayRead = true
  for await (const webhook of client.list<WebhookView>('/v1/webhooks')) {
    const one = webhook.name === null ? undefined : wanted.get(webhook.name)
    const needsSecret = one?.secret !== undefined
    if (!one || !(needsSecret || (mayRead && needsUrl(one, webhook)))) {
      current.push(webhook)
      continue
    }
    const answer = await client.request<SecretAnswer>('GET', secretPath(webhook.id)).catch((error: unknown) => {
      if (needsSecret || !(error instanceof RefusedRequest && error.status === FORBIDDEN)) throw error
      mayRead = false
    })
    current.push({ ...webhook, ...(answer && { secret: answer.secret, wholeUrl: answer.url }) })
  }
  return current
}

/** True where the URL of the file is shown as the relay's is, and may differ in what is not shown. */
function needsUrl({ webhook: { url } }: Desired, current: WebhookView): boolean {
  return !isMaskedUrl(url) && isMaskedUrl(current.url) && maskUrl(url) === current.url
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
