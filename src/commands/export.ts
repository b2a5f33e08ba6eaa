/** `alert-relay export`: prints the webhooks and sources of a running relay as a file for `alert-relay apply`. */
import { parseArgs } from 'node:util'
import { isMaskedUrl } from '../core/platform/url-mask.js'
import type { OwnSource } from '../core/source/own-source.js'
import type { WebhookView } from '../core/webhook/webhook.js'
import { secretPath } from './apply-changes.js'
import { CLIENT_OPTIONS, openClient } from './client.js'
import type { Command } from './command.js'
import { writeRegistryFile } from './registry-text.js'

const USAGE = `
  alert-relay export [--show-urls] [--url URL] > webhooks.yaml

  Prints the webhooks and sources of the relay at --url, by default the one here, as \`alert-relay apply\` takes them. Secrets are
  no part of it: \${env:NAME} stands for each, and the names are at its head. Webhooks without a name are comments.

  --show-urls  writes the URLs of webhooks whole, which needs a key of scope admin. Otherwise they are masked, as the API shows
               them: \`apply\` takes them so for the same relay, and leaves them as they are
`

const OPTIONS = { ...CLIENT_OPTIONS, 'show-urls': { type: 'boolean', default: false } } as const

export const exportCommand: Command = {
  usage: USAGE,
  async run(args, { env, print }) {
    const { values } = parseArgs({ args, options: OPTIONS })
    const client = await openClient({ url: values.url, env })
    const webhooks: WebhookView[] = []
    for await (const webhook of client.list<WebhookView>('/v1/webhooks')) {
      const isWanted = values['show-urls'] && isMaskedUrl(webhook.url)
      const whole = isWanted ? await client.request<{ url: string }>('GET', secretPath(webhook.id)) : undefined
      webhooks.push(whole ? { ...webhook, url: whole.url } : webhook)
    }
    const sources: OwnSource[] = []
    for await (const source of client.list<OwnSource>('/v1/sources')) sources.push(source)
    print(writeRegistryFile(webhooks, sources).slice(0, -1))
    return 0
  },
}
