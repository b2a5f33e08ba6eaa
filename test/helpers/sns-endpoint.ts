/**
 * The Publish API of SNS on loopback: accepts requests of the AWS SDK (the query protocol) and responds as AWS does.
 *
 * AWS_ENDPOINT_URL_SNS must be its `url`, with any AWS credentials, before the client is created: `environment` has both.
 */
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

export interface Published {
  topicArn: string
  message: string
  subject: string | undefined
  attributes: Record<string, string>
  groupId: string | undefined
}

export async function createSnsEndpoint(t: Test) {
  const published: Published[] = []
  const endpoint = {
    url: '',
    published,
    environment: {} as Record<string, string>,
    /** Replace it to send other responses; undefined: publish. */
    respond: undefined as RequestListener | undefined,
  }
  const server = createServer(async (request, response) => {
    if (endpoint.respond) return endpoint.respond(request, response)
    let body = ''
    for await (const chunk of request) body += String(chunk)
    const form = new URLSearchParams(body)
    const attributes: Record<string, string> = {}
    for (let i = 1; form.has(`MessageAttributes.entry.${i}.Name`); i++) {
      attributes[form.get(`MessageAttributes.entry.${i}.Name`)!] = form.get(
        `MessageAttributes.entry.${i}.Value.StringValue`,
      )!
    }
    published.push({
      topicArn: form.get('TopicArn')!,
      message: form.get('Message')!,
      subject: form.get('Subject') ?? undefined,
      attributes,
      groupId: form.get('MessageGroupId') ?? undefined,
    })
    response.setHeader('content-type', 'text/xml')
    response.end(
      `<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult><MessageId>mid-${published.length}</MessageId>` +
        '</PublishResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></PublishResponse>',
    )
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  t.teardown(async () => {
    const closed = once(server, 'close')
    server.close()
    server.closeAllConnections()
    await closed
  })
  endpoint.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  endpoint.environment = {
    AWS_ENDPOINT_URL_SNS: endpoint.url,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_EC2_METADATA_DISABLED: 'true',
  }
  return endpoint
}

/** Sets environment variables for one test, since the SDK reads them from the process. */
export function setEnvironment(t: Test, environment: Record<string, string>): void {
  const before = { ...process.env }
  Object.assign(process.env, environment)
  t.teardown(() => {
    for (const name of Object.keys(environment)) delete process.env[name]
    Object.assign(process.env, before)
  })
}
