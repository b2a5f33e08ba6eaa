import { spawnSync } from 'node:child_process'
import t from 'tap'

/** What a process writes that logs what `lines` says. */
function written(lines: string): Record<string, unknown>[] {
  const logger = new URL('../../../src/core/platform/logger.js', import.meta.url).href
  const program = `import { createLogger } from ${JSON.stringify(logger)}
    const log = createLogger('info')
    ${lines}`
  const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  })
  return stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

t.test('a secret is never written, at the top, further down, in a list or in an error', async (t) => {
  const lines = written(`
    log.info({ secret: 's3cret', webhook: { id: 'wh_1', secrets: ['s3cret'] }, request: { headers: { authorization: 's3cret' } } }, 'one')
    log.warn({ err: Object.assign(new Error('broken', { cause: new Error('below') }), { databaseUrl: 's3cret' }) }, 'two')
    log.info({ apiKeys: ['s3cret'], at: new Date(0), list: [{ encryptionKey: 's3cret' }], nothing: null }, 'three')
  `)
  t.notMatch(JSON.stringify(lines), 's3cret')
  t.match(lines, [
    { level: 'info', secret: '[Redacted]', webhook: { id: 'wh_1', secrets: '[Redacted]' }, msg: 'one' },
    { level: 'warn', err: { type: 'Error', message: 'broken', cause: { message: 'below' } }, msg: 'two' },
    {
      level: 'info',
      apiKeys: '[Redacted]',
      at: '1970-01-01T00:00:00.000Z',
      list: [{ encryptionKey: '[Redacted]' }],
      nothing: null,
      msg: 'three',
    },
  ])
})
