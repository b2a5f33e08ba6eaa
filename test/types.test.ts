/** Compiles a receiver in TypeScript against the installed package. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { ROOT } from '../src/core/platform/root.js'

const TSC = createRequire(import.meta.url).resolve('typescript/bin/tsc')

const RECEIVER = `
import type {
  Alert, AlertWithContext, AlertChange, Attempt, Delivery, DeliveryWithAttempts, EventOf, EventSummary, EventType, Once,
  Page, Problem, ReceivedEvent, ReceivedIndicator, Recovery, RecoveryRequest, RuleMatch, SnsNotification, TestChange,
  Topic, UpdatedAlert, Webhook, WebhookCreate, WebhookNotice, WebhookPatch,
} from 'alert-relay'

const isOf = <T extends EventType>(event: ReceivedEvent, ...types: T[]): event is EventOf<T> =>
  (types as string[]).includes(event.relay.type)

export function byKey(event: ReceivedEvent): string | null | undefined {
  if ('webhook' in event) return event.webhook.last_failure ?? event.webhook.health
  if ('subject' in event) return event.subject
  return event.updated_alert.title ?? event.updated_alert.id
}

export function byType(event: ReceivedEvent): number {
  if (isOf(event, 'delivery.dead')) return event.deliveries.count + event.webhook.id.length
  if (isOf(event, 'webhook.failing')) {
    const type: 'webhook.failing' = event.relay.type
    return type.length + event.webhook.id.length
  }
  if (isOf(event, 'alert.created', 'alert.updated')) {
    const change: AlertChange = event
    const type: 'alert.created' | 'alert.updated' = event.relay.type
    return change.relay.sequence + type.length + Object.keys(event.context_diff).length
  }
  return 0
}

export function everyType(event: ReceivedEvent): number {
  switch (event.relay.type) {
    case 'alert.created': case 'alert.updated': case 'alert.resolved': case 'alert.reopened': case 'alert.quiet':
      return event.relay.sequence
    case 'webhook.test': case 'sns.notification': return 1
    case 'webhook.failing': case 'webhook.recovered': case 'webhook.disabled': return 2
    case 'delivery.dead': return 3
  }
}

export const indicators = (change: AlertChange): ReceivedIndicator[] => change.indicators ?? []
export const bodies: (change: AlertChange, notice: WebhookNotice, sns: SnsNotification, test: TestChange) => ReceivedEvent[] =
  (...events) => events
export const alert = (change: AlertChange): UpdatedAlert => change.updated_alert
export const sameTypes: (type: EventType) => ReceivedEvent['relay']['type'] = (type) => type

const once: Once = { paths: ['file.hash.*'], within: '30d' }
export const create: WebhookCreate = { url: 'https://example.com/', event_types: ['alert.created'], once }
export const patch: WebhookPatch = { status: 'disabled' }
export const recover: RecoveryRequest = { since: '2026-01-01T00:00:00Z' }
export const match: RuleMatch = { rule: 'r', severity: 'high', context: { user: { name: 'root' }, n: [1, null] } }
export const cursor = (page: Page<Webhook | Topic | EventSummary | Recovery>): string | null => page.next_cursor
export const codes = ({ attempts }: DeliveryWithAttempts) => attempts.map(({ status_code: code }: Attempt): number | null => code)
export const due = (delivery: Delivery): 'pending' | undefined => (delivery.status === 'pending' ? delivery.status : undefined)
export const seen = (alert: AlertWithContext): string[][] => alert.values.map(({ path }) => path)
export const count = (alert: Alert): number | null => alert.match_count
export const fields = (problem: Problem): string[] => (problem.errors ?? []).map(({ path }) => path)
`

/** Each line must be a compile error. */
const WRONG = [
  `export const a = (event: AlertChange) => event.updated_alert.titel`,
  `export const b = (event: ReceivedEvent) => event.context_diff`,
  `export const c = (event: ReceivedEvent) => event.relay.sequence`,
  `export const d = (event: ReceivedEvent) => event.relay.type === 'alert.made'`,
  `export const e = (notice: WebhookNotice) => notice.webhook.url`,
  `export const f: WebhookCreate = { url: 'https://example.com/', colour: 'red' }`,
  `export const g: WebhookCreate = {}`,
  `export const h: EventOf<'alert.closed'> | undefined = undefined`,
  `export const i = (event: EventOf<'sns.notification'>): AlertChange => event`,
  `export const j = new AlertChange()`,
]
const WRONG_IMPORT = `import type { AlertChange, EventOf, ReceivedEvent, WebhookCreate, WebhookNotice } from 'alert-relay'`

t.test('a correct receiver in TypeScript compiles against the package, and incorrect lines do not', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'alert-relay-types-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await mkdir(join(folder, 'node_modules'))
  await symlink(ROOT, join(folder, 'node_modules/alert-relay'))
  const compilerOptions = {
    ...{ target: 'es2022', module: 'nodenext', strict: true, noImplicitReturns: true, verbatimModuleSyntax: true },
    ...{ types: [], skipLibCheck: true, noEmit: true },
  }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions }))
  await writeFile(join(folder, 'package.json'), '{ "type": "module" }')
  await writeFile(join(folder, 'receiver.ts'), RECEIVER)
  await writeFile(join(folder, 'wrong.ts'), [WRONG_IMPORT, ...WRONG].join('\n'))
  const output = await new Promise<string>((resolve) => {
    execFile(process.execPath, [TSC, '--pretty', 'false'], { cwd: folder }, (_error, stdout) => resolve(stdout))
  })
  const errors = output.split('\n').filter((line) => line.includes('error TS'))
  t.same(
    errors.filter((line) => !line.startsWith('wrong.ts')),
    [],
  )
  const lines = new Set(errors.map((line) => Number(/^wrong\.ts\((\d+),/.exec(line)?.[1])))
  t.same(
    WRONG.filter((_line, i) => !lines.has(i + 2)),
    [],
    'every wrong line is an error',
  )
  t.notOk(lines.has(1), 'the import is not an error')
})

t.test('the package exports only types: importing it runs nothing', async (t) => {
  const entry = createRequire(join(ROOT, 'package.json')).resolve('alert-relay')
  t.equal(entry, join(ROOT, 'dist/src/types.js'))
  t.same(Object.keys((await import(pathToFileURL(entry).href)) as object), [])
})
