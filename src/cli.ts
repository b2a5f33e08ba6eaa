#!/usr/bin/env node
/**
 * The command line: the only file that reads arguments, handles signals and exits. Commands are loaded on demand: the
 * application takes a second to load, and a wrong setting is reported before that.
 */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import closeWithGrace from 'close-with-grace'
import type { App } from './app.js'
import { CommandError, isUsageError, printable, UsageError, type Command, type ExitCode } from './commands/command.js'
import type { Config } from './core/platform/config.js'
import { messageOf, Refusal, SettingError } from './core/platform/errors.js'
import { createLogger } from './core/platform/logger.js'
import { startTracing, wantsTraces } from './core/platform/tracing.js'
import { VERSION } from './core/platform/version.js'

const USAGE = `alert-relay ${VERSION}

  alert-relay [serve] [--role all|api|worker]   run the relay (settings: environment, or a .env file here)
  alert-relay openapi                           print the API's document
  alert-relay keys create|list|revoke           API keys of a running relay
  alert-relay apply -f FILE                     make the webhooks of a running relay those of a file
  alert-relay export                            print the webhooks of a running relay as such a file
  alert-relay reseal                            change the encryption key, with every relay stopped
  alert-relay --version

  Each says more with --help. Results are on stdout, everything else on stderr.
  Exit codes: 0 done; 1 failed, and stderr says why; 2 the command line is wrong, or \`apply --check\` found changes.
`

const SERVE_USAGE = `
  alert-relay [serve] [--role all|api|worker]

  Runs the relay until SIGTERM or SIGINT, and exits with 0 when what was under way is finished. Settings are environment
  variables, or a .env file in the folder it starts in; --role goes before ROLE.
`

const serveCommand: Command = {
  usage: SERVE_USAGE,
  async run(args, { env }) {
    const { role } = parseArgs({ args, options: { role: { type: 'string' } } }).values
    const { loadConfig, ROLES } = await import('./core/platform/config.js')
    if (role === undefined) return serve(loadConfig(env))
    if (!ROLES.some((known) => known === role)) throw new UsageError(`--role must be ${ROLES.join(', ')}`)
    return serve(loadConfig({ ...env, ROLE: role }))
  },
}

const COMMANDS = new Map<string, () => Promise<Command>>([
  ['serve', async () => serveCommand],
  ['openapi', async () => (await import('./commands/openapi.js')).openapiCommand],
  ['keys', async () => (await import('./commands/keys.js')).keysCommand],
  ['apply', async () => (await import('./commands/apply.js')).applyCommand],
  ['export', async () => (await import('./commands/export.js')).exportCommand],
  ['reseal', async () => (await import('./commands/reseal.js')).resealCommand],
])

/** The time that running work has to finish after a signal: the longest attempt and a margin. */
const GRACE_MS = 40_000

async function main(argv: string[]): Promise<void> {
  const [first, ...rest] = argv
  if (first === 'help') return main([...rest, '--help'])
  if (first === '--help' || first === '-h') return print(USAGE)
  if (first === '--version') return print(VERSION)
  const isCommand = first !== undefined && !first.startsWith('-')
  const [name, args] = isCommand ? [first, rest] : ['serve', argv]
  const load = COMMANDS.get(name)
  if (!load) return fail(new UsageError(`there is no command '${name}'`), USAGE)
  const command = await load()
  if (args.includes('--help') || args.includes('-h')) return print(command.usage)
  if (existsSync('.env')) process.loadEnvFile('.env')
  try {
    process.exitCode = await command.run(args, { env: process.env, print, note })
  } catch (error) {
    fail(error, command.usage)
  }
}

/** Resolves once the relay listens; from then on a signal ends the process with exit code 0. */
async function serve(config: Config): Promise<ExitCode> {
  const traced = wantsTraces(process.env)
  const log = createLogger(config.logLevel, { pretty: process.stdout.isTTY, traced })
  const tracing = traced ? await startTracing({ log }) : undefined
  const { createApp } = await import('./app.js')
  const app = await createApp(config, log)
  closeWithGrace({ delay: GRACE_MS, logger: false }, async ({ signal, err }) => {
    if (err) log.fatal({ err }, 'stopping: an error that nobody handled')
    else log.info({ signal }, 'stopping: finishing what is under way')
    await app.close()
    await tracing?.close()
    log.info('stopped')
  })
  const address = await listen(app, app.http, { ...config, names: 'HOST and PORT' })
  const { intake: place } = config
  const intake =
    place && app.intake && (await listen(app, app.intake, { ...place, names: 'INTAKE_HOST and INTAKE_PORT' }))
  app.startWorkers()
  log.info({ address, ...(intake ? { intake } : {}), role: config.role, version: VERSION }, 'listening')
  if (config.role !== 'worker') greet(address, app.keyFile)
  return 0
}

/** @param place.names the settings that name it */
async function listen(
  app: App,
  server: App['http'],
  { host, port, names }: { host: string; port: number; names: string },
): Promise<string> {
  try {
    return await server.listen({ host, port })
  } catch (error) {
    await app.close()
    throw new SettingError(`${names} (${host}:${port}) cannot be listened on: ${messageOf(error)}`, { cause: error })
  }
}

/** Says where to begin. The key itself is told only to somebody who sits there: what is not a terminal is kept by a log. */
function greet(address: string, keyFile: App['keyFile']): void {
  print(`\n  Swagger UI  ${address}/docs`)
  if (keyFile?.newKey !== undefined && process.stdout.isTTY) {
    print(`  API key     ${keyFile.newKey}   (kept in ${keyFile.path}; shown this once)`)
  } else if (keyFile) {
    print(`  API key     in ${keyFile.path}`)
  }
  print('')
}

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

function note(text: string): void {
  process.stderr.write(`${text}\n`)
}

/**
 * Prints the error and exits, even if work still runs. Expected errors are one line, followed by the usage if the command
 * line was wrong; others are a stack.
 */
function fail(error: unknown, usage = ''): never {
  const isUsage = isUsageError(error)
  const isForeseen =
    isUsage || error instanceof SettingError || error instanceof Refusal || error instanceof CommandError
  note(`alert-relay: ${isForeseen || !(error instanceof Error) ? printable(messageOf(error)) : error.stack}`)
  if (isUsage) note(usage)
  const code: ExitCode = isUsage ? 2 : 1
  process.exit(code)
}

// a reader that closes the pipe early (`| head`) is no error: the command continues
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

main(process.argv.slice(2)).catch(fail)
