import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ROOT } from '../src/core/platform/root.js'
import { createDocument } from '../src/http.js'

const COMMITTED = join(ROOT, 'openapi/openapi.json')

interface Operation {
  operationId?: string
  summary?: string
  tags?: string[]
  security?: unknown[]
  responses: Record<string, unknown>
}

t.test('the committed document is what the routes say (npm run openapi writes it)', async (t) => {
  t.same(JSON.parse(await readFile(COMMITTED, 'utf8')), JSON.parse(JSON.stringify(await createDocument())))
})

t.test('every operation has a name, a summary, a tag, and its refusals', async (t) => {
  const { paths, webhooks } = JSON.parse(await readFile(COMMITTED, 'utf8')) as Record<
    'paths' | 'webhooks',
    Record<string, Record<string, Operation>>
  >
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
  t.same(Object.keys(webhooks).sort(), ['alertChange', 'notification', 'test', 'webhookNotice'])
})
