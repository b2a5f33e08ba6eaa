/** `alert-relay openapi`: prints the OpenAPI document; no relay needs to run. */
import { parseArgs } from 'node:util'
import type { Command } from './command.js'

const USAGE = `
  alert-relay openapi > openapi.json

  Prints the OpenAPI document of the API.
`

export const openapiCommand: Command = {
  usage: USAGE,
  async run(args, { print }) {
    parseArgs({ args })
    // loaded here, since the routes take a second to load
    const { createDocument } = await import('../http.js')
    print(JSON.stringify(await createDocument(), null, 2))
    return 0
  },
}
