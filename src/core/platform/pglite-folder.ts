/**
 * The folder of the embedded database. Another process makes it: PGlite's initdb takes some 600 MiB, which WebAssembly never
 * gives back.
 *
 * Guarantee: the folder is there as a whole or not at all, also when a process is killed while it is made.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const FOLDER = 'db'
const DRAFT = 'db-new-'

/**
 * The folder of the database in `dataDir`, which this process has locked; made when it is not there.
 * @throws Error when it cannot be made, with one line that says why
 */
export async function databaseFolder(dataDir: string): Promise<string> {
  const folder = join(dataDir, FOLDER)
  for (const name of await readdir(dataDir)) {
    if (name.startsWith(DRAFT)) await rm(join(dataDir, name), { recursive: true, force: true })
  }
  if (existsSync(join(folder, 'PG_VERSION'))) return folder
  const draft = await mkdtemp(join(dataDir, DRAFT))
  try {
    await initialise(draft)
    await rename(draft, folder)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    throw error
  }
  return folder
}

async function initialise(folder: string): Promise<void> {
  const program = `
    import { PGlite } from ${JSON.stringify(import.meta.resolve('@electric-sql/pglite'))}
    const database = await PGlite.create(${JSON.stringify(folder)})
    await database.close()`
  const run = promisify(execFile)(process.execPath, ['--input-type=module', '--eval', program], { env: {} })
  await run.catch((error: { stderr?: string; message: string }) => {
    const [line] = /^\w*Error: .*/m.exec(error.stderr ?? '') ?? [error.message]
    throw new Error(line, { cause: error })
  })
}
