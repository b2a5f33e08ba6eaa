#!/usr/bin/env node
/** The command line: the only file that reads arguments, handles signals and exits. */
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import closeWithGrace from 'close-with-grace'
import { createApp, type App } from './app.js'
import { loadConfig, type Config } from './core/platform/config.js'
import { messageOf, SettingError } from './core/platform/errors.js'
import { createLogger } from './core/platform/logger.js'
import { VERSION } from './core/platform/version.js'
import { createDocument } from './http.js'

const USAGE = `alert-relay ${VERSION}

  alert-relay serve [--role all|api|worker]   run the relay (settings: environment, or a .env file here)
  alert-relay openapi                         print the API's document
`

/** What is under way may take this long to finish after a signal: the longest attempt and a margin. */
const GRACE_MS = 40_000

async function main(argv: string[]): Promise<void> {
  const { values, positionals } = parseArgs({
    args: argv,
    allowPositionals: true,
    options: { role: { type: 'string' }, help: { type: 'boolean', short: 'h' }, version: { type: 'boolean' } },
  })
  const [command = 'serve', ...rest] = positionals
  if (values.version) return print(VERSION)
  if (values.help || rest.length > 0 || !['serve', 'openapi'].includes(command)) return print(USAGE)
  if (command === 'openapi') return print(JSON.stringify(await createDocument(), null, 2))
  if (existsSync('.env')) process.loadEnvFile('.env')
  return serve(loadConfig({ ...process.env, ...(values.role === undefined ? {} : { ROLE: values.role }) }))
}

async function serve(config: Config): Promise<void> {
  const log = createLogger(config.logLevel, { pretty: process.stdout.isTTY })
  const app = await createApp(config, log)
  closeWithGrace({ delay: GRACE_MS, logger: false }, async ({ signal, err }) => {
    if (err) log.fatal({ err }, 'stopping: an error that nobody handled')
    else log.info({ signal }, 'stopping: finishing what is under way')
    await app.close()
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
  const expected = error instanceof SettingError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS')
  process.stderr.write(`alert-relay: ${expected || !(error instanceof Error) ? messageOf(error) : error.stack}\n`)
  process.exit(1)
})
