/** SECURITY.md says what is there: its paths exist, and its dependencies are those of the package. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ROOT } from '../src/core/platform/root.js'

const read = (name: string) => readFile(join(ROOT, name), 'utf8')

t.test('every test that SECURITY.md names exists, and every attack is named', async (t) => {
  const text = await read('SECURITY.md')
  const paths = [...text.matchAll(/`((?:test|src)\/[\w./-]+\.ts)`/g)].map(([, path]) => path!)
  t.ok(paths.length > 20)
  t.same(
    paths.filter((path) => !existsSync(join(ROOT, path))),
    [],
  )
  for (const name of ['forgery', 'ssrf', 'floods', 'slow-bodies', 'scopes', 'secrets']) {
    t.ok(paths.includes(`test/attacks/${name}.test.ts`), name)
  }
})

t.test('each dependency has a reason, and each has an exact version', async (t) => {
  const { dependencies } = JSON.parse(await read('package.json')) as { dependencies: Record<string, string> }
  const [, table = ''] = (await read('SECURITY.md')).split('## Dependencies')
  const rows = [...table.matchAll(/^\| `([^`]+)` \| (.+) \|$/gm)]
  t.same(
    rows.map(([, name]) => name),
    Object.keys(dependencies),
  )
  t.ok(rows.every(([, , reason]) => reason!.trim().length > 3))
  for (const [name, version] of Object.entries(dependencies)) t.match(version, /^\d+\.\d+\.\d+$/, name)
})
