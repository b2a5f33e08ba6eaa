/** Runs teardown functions in reverse order, also after an error or a signal. */
import type { Teardowns } from './program.js'

type Undo = () => unknown

const open = new Set<Undo[]>()

/** Runs the work, then the teardown functions that it has added. */
export async function withTeardowns<T>(work: (t: Teardowns) => Promise<T>): Promise<T> {
  const undos: Undo[] = []
  open.add(undos)
  try {
    return await work({ teardown: (undo) => undos.push(undo) })
  } finally {
    await unwind(undos)
    open.delete(undos)
  }
}

/** For a signal: runs all pending teardown functions, the innermost first. */
export async function unwindAll(): Promise<void> {
  for (const undos of [...open].reverse()) await unwind(undos)
}

async function unwind(undos: Undo[]): Promise<void> {
  for (let undo = undos.pop(); undo; undo = undos.pop()) await undo()
}
