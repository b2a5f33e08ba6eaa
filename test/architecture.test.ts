import { readdir, readFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import t from 'tap'
import { ROOT } from '../src/core/platform/root.js'

const SRC = join(ROOT, 'src')

/** The imports of a file: own files as paths relative to src, packages by name. Type imports count. */
async function importsOf(file: string): Promise<string[]> {
  const text = await readFile(join(SRC, file), 'utf8')
  return [...text.matchAll(/^(?:import|export)[^'"]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm)].map(
    (match) => {
      const name = match[1] ?? match[2] ?? match[3]!
      return name.startsWith('.') ? relative(SRC, resolve(SRC, dirname(file), name)).replace(/\.js$/, '.ts') : name
    },
  )
}

const files = (await readdir(SRC, { recursive: true })).filter((file) => file.endsWith('.ts'))
const imports = new Map(await Promise.all(files.map(async (file) => [file, await importsOf(file)] as const)))

/** Layers from the top down. A file imports from lower layers and from its own module. */
const LAYERS = [
  /^cli\.ts$/,
  /^(app\.ts$|commands\/)/,
  /^(http|openapi|serializers|types)\.ts$/,
  /^(routes|workers)\//,
  /^core\/(sns|delivery)\//,
  /^core\/webhook\//,
  /^core\/format\//,
  /^core\/(indicator|circuit)\//,
  /^core\/event\//,
  /^core\/source\//,
  /^core\/(alert|filter)\//,
  /^core\/access\//,
  /^core\/platform\//,
]
/** The module of a file: the folder under core/, or else the file's own folder. */
const moduleOf = (file: string) => /^core\/([^/]+)/.exec(file)?.[1] ?? dirname(file)
const layerOf = (file: string) => LAYERS.findIndex((layer) => layer.test(file))

t.test('every file has a layer, and imports go to lower layers', async (t) => {
  for (const [file, targets] of imports) {
    t.not(layerOf(file), -1, `${file} has a layer`)
    for (const target of targets.filter((name) => name.endsWith('.ts'))) {
      const [from, to] = [layerOf(file), layerOf(target)]
      t.ok(to > from || (to === from && moduleOf(file) === moduleOf(target)), `${file} -> ${target}`)
    }
  }
})

t.test('there are no import cycles and no index.ts', async (t) => {
  t.same(
    files.filter((file) => file.endsWith('index.ts')),
    [],
  )
  const done = new Set<string>()
  const visit = (file: string, trail: string[]): string[] | undefined => {
    if (trail.includes(file)) return [...trail, file]
    if (done.has(file)) return undefined
    for (const target of imports.get(file) ?? []) {
      const cycle = target.endsWith('.ts') ? visit(target, [...trail, file]) : undefined
      if (cycle) return cycle
    }
    done.add(file)
    return undefined
  }
  for (const file of files) t.same(visit(file, []), undefined, file)
})

t.test('every external package with an owner is imported only there', async (t) => {
  const owners: [string, RegExp][] = [
    ['bullmq', /^core\/platform\/(queues|queue-worker|queue-backends)\.ts$/],
    ['ioredis', /^core\/platform\/redis-client\.ts$/],
    ['pg', /^core\/platform\/postgres\.ts$/],
    ['@electric-sql/pglite', /^core\/platform\/pglite\.ts$/],
    ['@fastify/fast-json-stringify-compiler', /^serializers\.ts$/],
    ['undici', /^core\/platform\/(http-client|connector|fetch-text)\.ts$/],
    ['env-schema', /^core\/platform\/config\.ts$/],
    ['@opentelemetry/api', /^core\/platform\/tracing\.ts$/],
    ['@opentelemetry/sdk-trace-node', /^core\/platform\/tracing\.ts$/],
  ]
  for (const [name, owner] of owners) {
    const users = files.filter((file) => imports.get(file)!.includes(name))
    t.ok(users.length > 0, `${name} is used`)
    t.same(
      users.filter((file) => !owner.test(file)),
      [],
      `${name} has no other owner`,
    )
  }
})

t.test('only the command line uses the process object', async (t) => {
  for (const file of files.filter((file) => file !== 'cli.ts')) {
    const code = (await readFile(join(SRC, file), 'utf8')).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')
    t.notMatch(code, /process\.(env|argv|exit|on|once|std\w+)\b/, file)
  }
})

t.test('every package that src imports is a dependency', async (t) => {
  const { dependencies } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { dependencies: object }
  for (const [file, names] of imports) {
    for (const name of names.filter((name) => !/\.ts$|^node:/.test(name))) {
      const [packageName] = /^(?:@[^/]+\/)?[^/]+/.exec(name)!
      t.ok(Object.hasOwn(dependencies, packageName), `${file} -> ${name}`)
    }
  }
})
