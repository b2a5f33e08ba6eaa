/** The folder of this package, where its package.json is: a path. Node finds it by the package's own name. */
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(fileURLToPath(import.meta.resolve('alert-relay/package.json')))
