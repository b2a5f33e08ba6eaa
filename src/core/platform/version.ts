/** The version of this package, as package.json says it; read once. */
import { readFileSync } from 'node:fs'

// src/core/platform/ and dist/core/platform/ are equally deep, so one path serves both.
const manifest = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
  version: string
}

export const VERSION = manifest.version
