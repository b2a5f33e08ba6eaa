/** `alert-relay export`: prints the webhooks of a running relay as the file that `apply` takes. */
import { parseArgs } from 'node:util'
import type { WebhookView } from '../core/webhook/webhook.js'
import { CLIENT_OPTIONS, openClient, type CommandIo } from './client.js'
import { writeRegistryFile } from './registry-text.js'

export const EXPORT_USAGE = `
  alert-relay export [--url URL] > webhooks.yaml

  Prints the webhooks of the relay at --url, by default the one here, as \`alert-relay apply\` takes them. Secrets are
  no part of it: \${env:NAME} stands for each, and the names are at its head. Webhooks without a name are comments.
`

/** @throws CommandError, SettingError, or what parseArgs throws: each one line for the person */
export async function runExport(args: string[], { env, print }: CommandIo): Promise<void> {
  const { values } = parseArgs({ args, options: { ...CLIENT_OPTIONS, help: { type: 'boolean', short: 'h' } } })
  if (values.help) return print(EXPORT_USAGE)
  const client = await openClient({ url: values.url, env })
  const webhooks: WebhookView[] = []
  for await (const webhook of client.list<WebhookView>('/v1/webhooks')) webhooks.push(webhook)
  print(writeRegistryFile(webhooks).slice(0, -1))
}
