#!/usr/bin/env node
/**
 * The command line: the only file that reads arguments, handles signals and exits. What a command needs is loaded when it is
 * run: the application takes a second, and a wrong setting is told before.
 */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import closeWithGrace from 'close-with-grace'
import type { App } from './app.js'
import { CommandError, type CommandIo } from './commands/client.js'
import { loadConfig, type Config } from './core/platform/config.js'
import { messageOf, Refusal, SettingError } from './core/platform/errors.js'
import { createLogger } from './core/platform/logger.js'
import { startTracing, wantsTraces } from './core/platform/tracing.js'
import { VERSION } from './core/platform/version.js'

const USAGE = `alert-relay ${VERSION}

  alert-relay serve [--role all|api|worker]   run the relay (settings: environment, or a .env file here)
  alert-relay openapi                         print the API's document
  alert-relay keys create|list|revoke         API keys of a running relay
  alert-relay apply -f FILE                   make the webhooks of a running relay those of a file
  alert-relay export                          print the webhooks of a running relay as such a file
  alert-relay reseal                          change the encryption key, with every relay stopped

  keys, apply, export and reseal say more with --help.
`

type Command = (args: string[], io: CommandIo) => Promise<number | void>

/** What has arguments of its own; each returns its exit code, if that is not 0. */
const COMMANDS = new Map<string, () => Promise<Command>>([
  ['keys', async () => (await import('./commands/keys.js')).runKeys],
  ['apply', async () => (await import('./commands/apply.js')).runApply],
  ['export', async () => (await import('./commands/export.js')).runExport],
  ['reseal', async () => (await import('./commands/reseal.js')).runReseal],
])

/** What is under way may take this long to finish after a signal: the longest attempt and a margin. */
const GRACE_MS = 40_000

async function main(argv: string[]): Promise<void> {
  const load = COMMANDS.get(argv[0] ?? '')
  if (load) {
    const run = await load()
    if (existsSync('.env')) process.loadEnvFile('.env')
    const io = { env: process.env, print, tell: (line: string) => process.stderr.write(`${line}\n`) }
    process.exitCode = (await run(argv.slice(1), io)) ?? 0
    return
  }
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { role: { type: 'string' }, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } },
  })
  const [command = 'serve', ...rest] = positionals
  if (values.version) return print(VERSION)
  if (values.help || rest.length > 0 || !['serve', 'openapi'].includes(command)) return print(USAGE)
  if (command === 'openapi') {
    const { createDocument } = await import('./http.js')
    return print(JSON.stringify(await createDocument(), null, 2))
  }
  if (existsSync('.env')) process.loadEnvFile('.env')
  return serve(loadConfig({ ...process.env, ...(values.role === undefined ? {} : { ROLE: values.role }) }))
}

async function serve(config: Config): Promise<void> {
  const log = createLogger(config.logLevel, { pretty: process.stdout.isTTY })
  const tracing = wantsTraces(process.env) ? await startTracing({ log }) : undefined
  const { createApp } = await import('./app.js')
  const app = await createApp(config, log)
  closeWithGrace({ delay: GRACE_MS, logger: false }, async ({ signal, err }) => {
    if (err) log.fatal({ err }, 'stopping: an error that nobody handled')
    else log.info({ signal }, 'stopping: finishing what is under way')
    await app.close()
    await tracing?.close()
    log.info('stopped')
  })
  const address = await listen(app, config)
  app.startWorkers()
  log.info({ address, role: config.role, version: VERSION }, 'listening')
  if (config.role !== 'worker') greet(address, app.newApiKey, config)
}

async function listen(app: App, { host, port }: Config): Promise<string> {
  try {
    return await app.http.listen({ host, port })
  } catch (error) {
    await app.close()
    throw new SettingError(`HOST and PORT (${host}:${port}) cannot be listened on: ${messageOf(error)}`, {
      cause: error,
    })
  }
}

function greet(address: string, newApiKey: string | undefined, config: Config): void {
  print(`\n  Swagger UI  ${address}/docs`)
  if (newApiKey) print(`  API key     ${newApiKey}   (kept in ${config.dataDir}/api-key; shown this once)`)
  print('')
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

main(process.argv.slice(2)).catch((error: unknown) => {
  const expected =
    error instanceof SettingError ||
    error instanceof Refusal ||
    error instanceof CommandError ||
    (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')
  process.stderr.write(`alert-relay: ${expected || !(error instanceof Error) ? messageOf(error) : error.stack}\n`)
  process.exit(1)
})
