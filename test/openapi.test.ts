import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import t from 'tap'
import { ID_PATTERN } from '../src/core/platform/id.js'
import { ROOT } from '../src/core/platform/root.js'
import { createDocument } from '../src/http.js'
import { FULL_KEY, openTestApi } from './helpers/api.js'

const COMMITTED = join(ROOT, 'openapi/openapi.json')

interface Operation {
  operationId?: string
  summary?: string
  tags?: string[]
  security?: unknown[]
  parameters?: { name: string; in: string; required?: boolean }[]
  requestBody?: { content: Record<string, Media> }
  responses: Record<string, { description: string; content?: Record<string, Media> }>
}
interface Media {
  schema: object
  example?: object
}
interface Document {
  paths: Record<string, Record<string, Operation>>
  webhooks: Record<string, Record<string, Operation>>
  components: object
}

const readDocument = async () => JSON.parse(await readFile(COMMITTED, 'utf8')) as Document

t.test('the committed document matches the routes (npm run openapi writes it)', async (t) => {
  t.same(JSON.parse(await readFile(COMMITTED, 'utf8')), JSON.parse(JSON.stringify(await createDocument())))
})

t.test('every operation has a name, a summary, a tag and its error responses', async (t) => {
  const { paths, webhooks } = await readDocument()
  const names = new Set<string>()
  for (const [path, item] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const name = `${method} ${path}`
      t.ok(operation.operationId && operation.summary && operation.tags?.length === 1, name)
      t.notOk(names.has(operation.operationId!), `${name} has an operationId of its own`)
      names.add(operation.operationId!)
      if (path.startsWith('/v1/')) t.ok(operation.responses['401'], `${name} says that it needs a key`)
    }
  }
  t.same(Object.keys(webhooks).sort(), ['alertChange', 'deadDeliveries', 'notification', 'test', 'webhookNotice'])
})

t.test('every response has a description, and every query parameter is optional', async (t) => {
  const { paths } = await readDocument()
  for (const operation of Object.values(paths).flatMap((item) => Object.values(item))) {
    for (const [status, { description }] of Object.entries(operation.responses)) {
      t.notMatch(description, /^(Default Response|A problem\.)$/, `${status} of ${operation.operationId}`)
      t.match(description, /\.$/, `${status} of ${operation.operationId}`)
    }
    const queries = (operation.parameters ?? []).filter((parameter) => parameter.in === 'query')
    t.same(
      queries.filter(({ required }) => required),
      [],
    )
  }
})

t.test('every example matches its schema', async (t) => {
  const document = await readDocument()
  const ajv = formats.default(new Ajv2020({ strict: false, allErrors: true }))
  ajv.addSchema({ ...document, $id: 'document' })
  let count = 0
  for (const operation of [document.paths, document.webhooks].flatMap((group) =>
    Object.values(group).flatMap((item) => Object.values(item)),
  )) {
    for (const { content = {} } of [operation.requestBody ?? {}, ...Object.values(operation.responses)]) {
      for (const { schema, example } of Object.values(content)) {
        if (example === undefined) continue
        const text = JSON.stringify(schema).replaceAll('"#/', '"document#/')
        const isValid = ajv.compile(JSON.parse(text) as object)
        t.ok(isValid(example), `${operation.operationId ?? operation.summary}: ${ajv.errorsText(isValid.errors)}`)
        count++
      }
    }
  }
  t.ok(count >= 16, 'examples of requests, answers and what webhooks receive')
})

t.test("the example of a 201 is the relay's response to the example request", async (t) => {
  const { paths } = await readDocument()
  const { call } = await openTestApi(t)
  const made = Object.entries(paths).filter(([, { post }]) => post?.responses['201'])
  t.same(made.map(([path]) => path).sort(), ['/v1/keys', '/v1/sources', '/v1/webhooks'])
  for (const [path, { post }] of made) {
    const { example: body } = post!.requestBody!.content['application/json']!
    const { example } = post!.responses['201']!.content!['application/json']!
    const answer = await call(FULL_KEY, 'POST', path, body)
    t.equal(answer.statusCode, 201)
    t.same(withoutChance(answer.json()), withoutChance(example!), path)
  }
})

/** Replaces times, ids and secrets, which differ in every run. */
function withoutChance(answer: object): object {
  const chance = ['id', 'created_at', 'updated_at', 'secret', 'key']
  return Object.fromEntries(
    Object.entries(answer).map(([name, value]) => [
      name,
      chance.includes(name) ? String(value).replace(/[\w+/-]{20,}=?|\d+/g, '*') : (value as unknown),
    ]),
  )
}

t.test('every pattern that a request must match says in words what it asks for', async (t) => {
  const { paths, components } = await readDocument()
  const requests = Object.values(paths).flatMap((item) =>
    Object.values(item).map(({ parameters, requestBody }) => ({ parameters, requestBody })),
  )
  let count = 0
  const visit = (value: unknown, at: string) => {
    if (typeof value !== 'object' || value === null) return
    const { pattern, 'x-pattern': words } = value as { pattern?: unknown; 'x-pattern'?: string }
    if (typeof pattern === 'string') {
      count++
      t.ok(words !== undefined || ID_PATTERN.test(pattern), `${at}: ${pattern}`)
    }
    for (const [name, member] of Object.entries(value)) visit(member, `${at}/${name}`)
  }
  visit(requests, '')
  visit(components, '#')
  t.ok(count > 50)
})
