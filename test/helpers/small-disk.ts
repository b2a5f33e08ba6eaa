/** A file system of a limited size for one folder; root mounts it. */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, statfs } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Test } from 'tap'

const run = promisify(execFile)

export interface SmallDisk {
  folder: string
  /** Leaves no room: the size becomes what is used. */
  fill(): Promise<void>
  /** Restores its first size. */
  free(): Promise<void>
}

/** @returns undefined where nothing can be mounted */
export async function mountSmallDisk(t: Pick<Test, 'teardown'>, megabytes: number): Promise<SmallDisk | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'alert-relay-disk-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const resize = (bytes: number) => run('mount', ['-o', `remount,size=${bytes}`, folder])
  const size = megabytes * 1024 * 1024
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', folder])
  } catch {
    return undefined
  }
  t.teardown(() => run('umount', ['-l', folder]))
  return {
    folder,
    async fill() {
      for (let tries = 1; ; tries++) {
        const { blocks, bfree, bsize } = await statfs(folder)
        try {
          await resize((blocks - bfree) * bsize)
          return
        } catch (error) {
          // more was written since
          if (tries === 50) throw error
        }
      }
    },
    free: async () => void (await resize(size)),
  }
}
