/** The path of this package's folder, resolved by the package's own name (Node.js, "Self-referencing a package"). */
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = dirname(fileURLToPath(import.meta.resolve('alert-relay/package.json')))
