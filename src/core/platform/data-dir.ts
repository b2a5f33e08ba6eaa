/** The lock of DATA_DIR: two processes would damage the embedded database. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SettingError } from './errors.js'

/**
 * Locks the folder for this process. A lock whose process has ended (kill -9) is taken over; so is one with this
 * process's pid, which is left from an earlier start where pids repeat, as in containers.
 * @returns the function that removes the lock
 * @throws SettingError when another process holds it
 */
export async function acquireDataDir(dataDir: string): Promise<() => Promise<void>> {
  const path = join(dataDir, 'lock')
  for (let tries = 0; tries < 2; tries++) {
    try {
      await writeFile(path, String(process.pid), { flag: 'wx' })
      return () => rm(path, { force: true })
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const owner = Number(await readFile(path, 'utf8').catch(() => ''))
    if (owner !== process.pid && isAlive(owner)) {
      throw new SettingError(
        `DATA_DIR ${dataDir} is in use by process ${owner}: stop it, or give this one a DATA_DIR of its own`,
      )
    }
    await rm(path, { force: true })
  }
  throw new SettingError(`DATA_DIR ${dataDir} is being taken by another process at this moment: start again`)
}

function isAlive(pid: number): boolean {
  if (!Number.isSafeInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
