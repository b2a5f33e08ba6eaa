import { createServer } from 'node:http'
import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { applyCommand } from '../../src/commands/apply.js'
import { ROOT } from '../../src/core/platform/root.js'
import type { OwnSource } from '../../src/core/source/own-source.js'
import type { WebhookView } from '../../src/core/webhook/webhook.js'
import type { TestApp } from '../helpers/app.js'
import { openRelay } from '../helpers/commands.js'
import { createReceiver } from '../helpers/receiver.js'

const EXAMPLE = join(ROOT, 'examples/webhooks.yaml')
const HOOK = 'https://example.com/hook'

async function registered(app: TestApp): Promise<WebhookView[]> {
  return (await app.api('GET', '/v1/webhooks?limit=200')).json<{ data: WebhookView[] }>().data
}

t.test('apply makes the webhooks match the file, and a second run changes nothing', async (t) => {
  const { app, apply, takeRequests } = await openRelay(t)
  await app.api('POST', '/v1/webhooks', { url: HOOK })
  const file = `webhooks:
  - name: soar
    url: ${HOOK}
    filter: { updated_alert: { severity: [high] } }
    auth: { type: bearer, token: '\${env:TOKEN}' }
  - name: pager
    url: ${HOOK}
    timeout_ms: 5000
    signing: ed25519
`
  const env = { TOKEN: 'tk-1' }
  const dry = await apply(file, ['--dry-run'], env)
  t.match(dry, { code: 0, notes: ['without a name, left alone: 1'] })
  t.same(dry.printed, [
    '+ soar',
    '    url: "https://example.com/..."',
    '    filter: {"updated_alert":{"severity":["high"]}}',
    `    auth: {"type":"bearer","token":"\${env:TOKEN}"}`,
    '+ pager',
    '    url: "https://example.com/..."',
    '    timeout_ms: 5000',
    '    signing: "ed25519"',
    '2 to create, 0 to change, 0 to delete, 0 unchanged',
  ])
  t.equal((await apply(file, ['--check'], env)).code, 2)
  t.equal((await registered(app)).length, 1)
  t.notOk(takeRequests().some((request) => !request.startsWith('GET')))

  const first = await apply(file, [], env)
  t.match(first, { code: 0, notes: [/^without/, /^soar is wh_\w+; its signing secret is at GET \/v1\/.*\/secret$/] })
  t.same(first.printed.slice(0, -2), dry.printed.slice(0, -1), 'the same is printed')
  t.match(first.printed.slice(-2), [/^pager signs with the key whpk_/, '2 created, 0 changed, 0 deleted, 0 unchanged'])
  t.notMatch(JSON.stringify(first), /tk-1|whsec_/)

  takeRequests()
  const second = await apply(file, ['--check'], env)
  t.match(second, { code: 0, printed: ['0 to create, 0 to change, 0 to delete, 2 unchanged'] })
  t.match(second.notes[1], /^secrets that the relay hides .*: 1$/)
  await apply(file, [], env)
  t.ok(
    takeRequests().every((request) => /^GET \/v1\/webhooks(\/wh_\w+\/secret)?$/.test(request)),
    'it was only looked at',
  )

  const changed = file.replace('    timeout_ms: 5000\n    signing: ed25519\n', '').replace('[high]', '[high, low]')
  const third = await apply(changed, [], env)
  t.match(third.printed, [
    /^~ soar \(wh_\w+\)$/,
    '    filter.updated_alert.severity: ["high"] -> ["high","low"]',
    /^~ pager/,
    '    timeout_ms: 5000 -> 15000',
    '    signing: "ed25519" -> "hmac"',
    '0 created, 2 changed, 0 deleted, 0 unchanged',
  ])
  const [pager] = (await registered(app)).filter(({ name }) => name === 'pager')
  t.match(pager, { timeout_ms: 15000, signing: 'hmac' })
  t.match((await apply(changed, [], env)).printed, ['0 created, 0 changed, 0 deleted, 2 unchanged'])

  const fewer = changed.slice(0, changed.indexOf('  - name: pager'))
  t.match((await apply(fewer, [], env)).notes, [/^not in the file, left alone \(--prune deletes\): pager$/, /^w/, /^s/])
  t.match((await apply(fewer, ['--prune'], env)).printed, [/^- pager \(wh_/, /^0 created, 0 changed, 1 deleted, 1 un/])
  t.same((await registered(app)).map(({ name }) => name).sort(), [null, 'soar'].sort())
})

t.test('a secret is sent to the receiver; a changed one only with --force-secrets', async (t) => {
  const { app, apply } = await openRelay(t)
  const receiver = await createReceiver()
  t.teardown(() => receiver.close())
  const secret = (byte: number) => `whsec_${Buffer.alloc(32, byte).toString('base64')}`
  receiver.secrets = [secret(1)]
  const file = `webhooks:
  - name: soar
    url: '\${env:WHERE}'
    secret: '\${env:SECRET}'
    headers: { x-key: 'key \${env:KEY}' }
`
  const env = { WHERE: receiver.url, SECRET: secret(1), KEY: 'one' }
  const test = async () => {
    const [{ id }] = (await registered(app)) as [WebhookView]
    await app.api('POST', `/v1/webhooks/${id}/test`)
    return receiver.received.at(-1)!
  }
  const made = await apply(file, ['--show-secrets'], env)
  t.notMatch(JSON.stringify(made), /whsec_|key one/, 'secrets that the user sent are not in responses')
  t.match(await test(), { verified: true, headers: { 'x-key': 'key one' } })
  t.match((await apply(file, [], { ...env, KEY: 'two' })).printed, ['0 created, 0 changed, 0 deleted, 1 unchanged'])
  const forced = await apply(file, ['--force-secrets'], { ...env, KEY: 'two' })
  t.same(forced.printed.slice(1), [
    '    headers: ******** -> ******** (sent again)',
    '0 created, 1 changed, 0 deleted, 0 unchanged',
  ])
  t.match(await test(), { verified: true, headers: { 'x-key': 'key two' } })

  const rotated = await apply(file, [], { ...env, SECRET: secret(2) })
  t.match(rotated.printed, [/^~ soar/, `    secret: ******** -> "\${env:SECRET}"`, /1 changed/])
  t.equal((await test()).verified, true, 'the previous secret still signs')
  receiver.secrets = [secret(2)]
  t.equal((await test()).verified, true)
  t.match((await apply(file, [], { ...env, SECRET: secret(2) })).printed, [/1 unchanged/])

  const shown = await apply(`webhooks: [{ name: new, url: '${HOOK}' }]`, ['--show-secrets'])
  t.match(shown.printed, ['+ new', String, /^new signs with whsec_/, String])
})

t.test('an export changes nothing when it is applied to its relay, and can be applied to another', async (t) => {
  const { app, apply, export: exported } = await openRelay(t)
  const env = { SOAR_AUTH_TOKEN: 'tk', SOAR_HEADERS_X_TEAM: 'blue' }
  const chatUrl = 'https://hooks.slack.com/services/x9a1b2'
  const text = `text with \${env:NOT_A_VARIABLE}`
  for (const fields of [
    {
      name: 'soar',
      url: HOOK,
      description: text,
      auth: { type: 'bearer', token: 'tk' },
      headers: { 'X-Team': 'blue' },
    },
    { name: 'chat', url: chatUrl, format: 'slack', once: { paths: 'indicators', within: '30d' } },
    { name: 'plain', url: HOOK, filter: { a: [{ numeric: ['>', 1.5] }] }, rate_per_second: 0.06, status: 'disabled' },
    { name: 'bot', url: HOOK, success: { body: { errcode: [0] }, body_excludes: [text] } },
    { url: HOOK, description: 'without a name' },
  ]) {
    t.equal((await app.api('POST', '/v1/webhooks', fields)).statusCode, 201)
  }
  const file = await exported()
  t.notMatch(file, /tk\b|blue|services/)
  t.match((await apply(file, ['--prune'], env)).printed, ['0 created, 0 changed, 0 deleted, 4 unchanged'])
  t.match(file, 'https://hooks.slack.com/...a1b2')
  t.match(await apply(file), { message: /^FILE is not applied: 2 problems$/, notes: [/SOAR/, /SOAR/] })

  const whole = await exported(['--show-urls'])
  t.match(whole, chatUrl)
  t.match((await apply(whole, ['--prune'], env)).printed, ['0 created, 0 changed, 0 deleted, 4 unchanged'])
  for (const { id } of await registered(app)) await app.api('DELETE', `/v1/webhooks/${id}`)
  const masked = await apply(file, ['--dry-run'], env)
  t.match(masked.message, /^FILE is not applied: 4 problems$/)
  t.match(
    masked.notes[0],
    /^FILE:\d+: \w+: url is masked, and is not that of a webhook \w+ of the relay: write the whole URL$/,
  )
  t.match((await apply(whole, [], env)).printed.at(-1), '4 created, 0 changed, 0 deleted, 0 unchanged')
  t.equal(await exported(), file.slice(0, file.indexOf('\n  # ')), 'all but the one without a name')
})

t.test('no request is sent while the file has a problem', async (t) => {
  const { apply, takeRequests } = await openRelay(t)
  const result = await apply(`webhooks:\n  - name: soar\n    url: ${HOOK}\n    tiemout_ms: 1\n`)
  t.same(result.notes, ['FILE:4: soar: tiemout_ms is not a known field'])
  t.match(result, { code: undefined, message: 'FILE is not applied: a problem', printed: [] })
  t.match(await apply('webhooks: [\u001b[2J'), { notes: [/^FILE:1: column \d+: /] })
  t.same(takeRequests(), [])
})

t.test('apply stops at the first refusal, and reports its line, what was done and what was not', async (t) => {
  const relay = await openRelay(t)
  const file = `webhooks:
  - { name: first, url: '${HOOK}' }
  - { name: second, url: '${HOOK}' }
  - name: third
    url: ${HOOK}
`
  // another client creates a webhook of that name between the list and the request
  const proxy = await listen(t, async (request, body) => {
    if (request === 'POST /v1/webhooks' && body.includes('second')) {
      await relay.app.api('POST', '/v1/webhooks', { url: HOOK, name: 'second' })
    }
    return relay.url
  })
  const { notes, message, code } = await relay.apply(file, [], {}, proxy)
  t.same([code, message], [undefined, 'FILE:3: second: name is the name of another webhook'])
  t.match(notes, [/^first is /, 'done: first', 'not done: second, third'])
  t.match((await relay.apply(file)).printed.at(-1), '1 created, 0 changed, 0 deleted, 2 unchanged')
})

/** A proxy that calls the test before it forwards a request. */
async function listen(t: Test, pass: (request: string, body: string) => Promise<string>): Promise<string> {
  const server = createServer(async (request, answer) => {
    const { method, url, headers } = request
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    const to = await pass(`${method} ${url!.split('?')[0]}`, body)
    const { authorization = '', 'content-type': type } = headers
    const passed = await fetch(to + url, {
      method,
      headers: { authorization, ...(type ? { 'content-type': type } : {}) },
      body: body === '' ? undefined : body,
    })
    answer.writeHead(passed.status).end(await passed.text())
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  t.teardown(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('with 200 webhooks a second run changes nothing', async (t) => {
  const { app, apply, takeRequests } = await openRelay(t)
  const file = `webhooks:\n${Array.from(
    { length: 200 },
    (_, i) => `  - name: webhook ${i}
    url: https://example.com/${i}
    filter: { updated_alert: { severity: [{ anything-but: low }], title: [{ prefix: 'T${i}' }] } }
    headers: { x-key: '\${env:KEY}' }
    max_in_flight: ${1 + (i % 9)}
`,
  ).join('')}`
  const env = { KEY: 'k' }
  const timed = async () => {
    const start = performance.now()
    const { printed } = await apply(file, [], env)
    t.comment(`${printed.at(-1)}: ${Math.round(performance.now() - start)} ms`)
    return printed
  }
  t.match((await timed()).at(-1), '200 created, 0 changed, 0 deleted, 0 unchanged')
  const before = await registered(app)
  takeRequests()
  t.same(await timed(), ['0 created, 0 changed, 0 deleted, 200 unchanged'])
  t.ok(
    takeRequests().every((request) => request.startsWith('GET ')),
    'it was only looked at',
  )
  t.same(await registered(app), before)
})

t.test('the example file can be applied unchanged', async (t) => {
  const { apply } = await openRelay(t)
  const text = await readFile(EXAMPLE, 'utf8')
  const env: Record<string, string> = {}
  for (const [, name] of text.matchAll(/(?<!\$)\$\{env:(\w+)\}/g)) env[name!] = `https://example.com/${name}`
  env.PAGERDUTY_ROUTING_KEY = 'a'.repeat(32)
  t.match(await apply(text, [], env), { code: 0, message: '' })
  t.match((await apply(text, ['--check', '--prune'], env)).code, 0)
})

t.test('an unreadable file is refused, and so is a command line without a file', async (t) => {
  const { apply } = await openRelay(t)
  const folder = t.testdir({ 'latin1.yaml': Buffer.from([0xe9]), 'large.yaml': '#'.repeat(3 * 1024 * 1024) })
  const io = { env: {}, print: () => {}, note: () => {} }
  const { run } = applyCommand
  await t.rejects(run(['-f', join(folder, 'none.yaml')], io), { message: /none\.yaml cannot be read: ENOENT/ })
  await t.rejects(run(['-f', join(folder, 'latin1.yaml')], io), { message: /is not UTF-8$/ })
  await t.rejects(run(['-f', join(folder, 'large.yaml')], io), { message: /is larger than/ })
  await t.rejects(run([], io), { name: 'UsageError', message: 'apply needs -f FILE' })
  t.match(await apply('webhooks: []'), { code: 0, printed: ['0 created, 0 changed, 0 deleted, 0 unchanged'] })
})

t.test('sources are applied as webhooks are, and pruned where the file has a list of them', async (t) => {
  const { app, apply, export: exported, takeRequests } = await openRelay(t)
  const sources = async () => (await app.api('GET', '/v1/sources')).json<{ data: OwnSource[] }>().data
  const webhooks = `webhooks:\n  - { name: soar, url: ${HOOK} }\n`
  const file = `sources:
  - name: acme
    filter: { product: ['\${env:PRODUCT}'] }
    mapping: |-
      { "id": id,
        "title": "$\${env:X}" }
  - { name: other, filter: {}, mapping: '{ "id": 1 }', enabled: false }
`
  const env = { PRODUCT: 'acme' }
  await apply(webhooks)
  const dry = await apply(file, ['--check'], env)
  t.equal(dry.code, 2)
  t.same(dry.printed, [
    '+ source acme',
    `    filter: {"product":["\${env:PRODUCT}"]}`,
    `    mapping: "{ \\"id\\": id,\\n  \\"title\\": \\"\${env:X}\\" }"`,
    '+ source other',
    '    filter: {}',
    '    mapping: "{ \\"id\\": 1 }"',
    '    enabled: false',
    '2 to create, 0 to change, 0 to delete, 0 unchanged',
  ])
  t.same(await sources(), [])
  t.match((await apply(file, [], env)).printed.at(-1), '2 created, 0 changed, 0 deleted, 0 unchanged')
  t.match(
    (await sources()).find(({ name }) => name === 'acme'),
    {
      ...{ filter: { product: ['acme'] }, mapping: `{ "id": id,\n  "title": "\${env:X}" }`, enabled: true },
    },
  )
  t.match((await apply(file, ['--check'], env)).printed, ['0 to create, 0 to change, 0 to delete, 2 unchanged'])

  const fewer = file.slice(0, file.indexOf('  - { name: other')).replace('"title"', '"url"')
  const changed = await apply(fewer, [], env)
  t.match(changed.printed, [/^~ source acme \(src_/, /^ {4}mapping: "/, '0 created, 1 changed, 0 deleted, 0 unchanged'])
  t.match(changed.notes, ['not in the file, left alone (--prune deletes): source other'])
  takeRequests()
  t.match((await apply(webhooks, ['--prune'])).printed, ['0 created, 0 changed, 0 deleted, 1 unchanged'])
  t.notOk(
    takeRequests().some((request) => request.includes('sources')),
    'a list that the file does not have is left alone',
  )
  t.match((await apply(fewer, ['--prune'], env)).printed, [/^- source other \(src_/, /1 deleted, 1 unchanged/])
  t.equal((await registered(app)).length, 1)

  const all = await exported()
  t.match((await apply(all, ['--prune'])).printed, ['0 created, 0 changed, 0 deleted, 2 unchanged'])
  for (const { id } of await sources()) await app.api('DELETE', `/v1/sources/${id}`)
  t.match((await apply(all)).printed.at(-1), '1 created, 0 changed, 0 deleted, 1 unchanged')
  t.equal(await exported(), all)

  const wrong = await apply(file.replace('name: other, filter: {}', 'name: acme, filter: { a: 1 }'), [], env)
  t.same(wrong.notes, [`FILE:7: acme: filter/a must be an object or a list: put the values in a list, ["high"]`])
  t.match((await apply('sources: {}')).notes, ['FILE:1: must hold a list: webhooks, or sources, or both'])
})
