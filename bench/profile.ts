/**
 * Prints a CPU profile as tables: `node dist/bench/profile.js FILE.cpuprofile [SKIP_S]`. Profiles are made by
 * `BENCH_NODE_FLAGS='--cpu-prof --cpu-prof-dir=DIR' npm run bench -- out`.
 *
 * Time in Node's own code (sockets, crypto, JSON) counts for the package or file that called it. The first seconds, in
 * which modules are loaded, are skipped.
 */
import { readFile } from 'node:fs/promises'

interface ProfileNode {
  id: number
  callFrame: { functionName: string; url: string; lineNumber: number }
  children?: number[]
}

interface Profile {
  nodes: ProfileNode[]
  samples: number[]
  /** Microseconds since the previous sample. */
  timeDeltas: number[]
}

const LINES = 30

const [file, skipS = '1.5'] = process.argv.slice(2)
if (file === undefined) throw new Error('name a .cpuprofile file')
const { nodes, samples, timeDeltas } = JSON.parse(await readFile(file, 'utf8')) as Profile
const nodeOf = new Map(nodes.map((node) => [node.id, node]))
const parentOf = new Map(nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)))
const byFile = new Map<string, number>()
const byFunction = new Map<string, number>()

let elapsed = 0
let idle = 0
samples.forEach((id, index) => {
  const micros = timeDeltas[index]!
  elapsed += micros
  if (elapsed < Number(skipS) * 1e6) return
  const { functionName, lineNumber } = nodeOf.get(id)!.callFrame
  if (functionName === '(idle)') return void (idle += micros)
  const caller = callerOf(id)
  add(byFile, caller, micros)
  add(byFunction, `${functionName || '(anonymous)'}:${lineNumber + 1}, in ${caller}`, micros)
})
console.log(`idle: ${(idle / 1e6).toFixed(2)} s`)
print('by package or file', byFile)
print('by function', byFunction)

/** The nearest package, or file of this project, among the node and its ancestors. */
function callerOf(id: number | undefined): string {
  for (let at = id; at !== undefined; at = parentOf.get(at)) {
    const { url } = nodeOf.get(at)!.callFrame
    if (url === '' || url.startsWith('node:')) continue
    return /.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? url.replace(/.*\/dist\//, '')
  }
  const name = id === undefined ? '' : nodeOf.get(id)!.callFrame.functionName
  return name.startsWith('(') ? name : 'node'
}

function add(sums: Map<string, number>, key: string, micros: number): void {
  sums.set(key, (sums.get(key) ?? 0) + micros)
}

function print(title: string, sums: Map<string, number>): void {
  const total = [...sums.values()].reduce((sum, micros) => sum + micros, 0)
  console.log(`\n${title}, of ${(total / 1e6).toFixed(2)} s of work`)
  for (const [key, micros] of [...sums].sort((a, b) => b[1] - a[1]).slice(0, LINES)) {
    const share = `${((micros / total) * 100).toFixed(1)} %`
    console.log(`${share.padStart(7)} ${(micros / 1000).toFixed(0).padStart(7)} ms  ${key}`)
  }
}
