/**
 * LocalStack as a client meets it: SNS and SQS on loopback, from the Python environment that LOCALSTACK_PYTHON names
 * (`.ci/run` makes one). Its keys and everything in it are gone when it stops.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { sparePort } from './servers.js'
import { until } from './until.js'

export interface LocalStack {
  port: number
  /** Calls the query API of SNS. @returns the XML */
  sns(action: string, parameters: Record<string, string>): Promise<string>
  createTopic(name: string): Promise<string>
  /** Calls the JSON API of SQS. */
  sqs<T>(action: string, parameters: Record<string, unknown>): Promise<T>
  /** Makes a queue. @returns its URL and ARN */
  createQueue(name: string): Promise<{ url: string; arn: string }>
  /** The body of the next message of a queue. */
  receive(queueUrl: string): Promise<string>
  start(): Promise<void>
  kill(): Promise<void>
}

const ACCOUNT = '000000000000'
const REGION = 'us-east-1'

/** The environment of the AWS SDK that publishes there. */
export function awsEnvironment({ port }: LocalStack): Record<string, string> {
  return {
    AWS_ENDPOINT_URL_SNS: `http://127.0.0.1:${port}`,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_EC2_METADATA_DISABLED: 'true',
  }
}

export async function startLocalStack(t: Test, python: string): Promise<LocalStack> {
  const port = await sparePort()
  const folder = await mkdtemp(join(tmpdir(), 'alert-relay-localstack-'))
  const output: string[] = []
  let server: ChildProcess | undefined

  async function call(service: string, headers: Record<string, string>, body: string): Promise<string> {
    // it reads the service from the credential's scope, and checks no signature
    const authorization = `AWS4-HMAC-SHA256 Credential=test/20260101/${REGION}/${service}/aws4_request, SignedHeaders=host, Signature=0`
    const answer = await fetch(`http://127.0.0.1:${port}/`, {
      method: 'POST',
      headers: { ...headers, authorization },
      body,
    })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${service} answered ${answer.status}: ${text}`)
    return text
  }

  const localStack: LocalStack = {
    port,
    sns: (action, parameters) =>
      call(
        'sns',
        { 'content-type': 'application/x-www-form-urlencoded' },
        new URLSearchParams({ Action: action, ...parameters }).toString(),
      ),
    async createTopic(name) {
      await localStack.sns('CreateTopic', { Name: name })
      return `arn:aws:sns:${REGION}:${ACCOUNT}:${name}`
    },
    async sqs<T>(action: string, parameters: Record<string, unknown>) {
      const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `AmazonSQS.${action}` }
      return JSON.parse(await call('sqs', headers, JSON.stringify(parameters))) as T
    },
    async createQueue(name) {
      const { QueueUrl: url } = await localStack.sqs<{ QueueUrl: string }>('CreateQueue', { QueueName: name })
      return { url, arn: `arn:aws:sqs:${REGION}:${ACCOUNT}:${name}` }
    },
    async receive(queueUrl) {
      const { Messages: [message] = [] } = await until(
        () =>
          localStack.sqs<{ Messages?: { Body: string; ReceiptHandle: string }[] }>('ReceiveMessage', {
            QueueUrl: queueUrl,
            WaitTimeSeconds: 5,
          }),
        ({ Messages: messages = [] }) => messages.length > 0,
      )
      await localStack
        .sqs('DeleteMessage', { QueueUrl: queueUrl, ReceiptHandle: message!.ReceiptHandle })
        .catch(() => {})
      return message!.Body
    },
    async start() {
      server = spawn(python, ['-m', 'localstack.runtime.main'], {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: {
          PATH: process.env.PATH ?? '',
          HOME: folder,
          FILESYSTEM_ROOT: join(folder, 'root'),
          GATEWAY_LISTEN: `127.0.0.1:${port}`,
          SERVICES: 'sns,sqs',
          DNS_ADDRESS: '0',
          DISABLE_EVENTS: '1',
          SKIP_INFRA_DOWNLOADS: '1',
          SKIP_SSL_CERT_DOWNLOAD: '1',
        },
      })
      server.stdout?.on('data', (chunk) => output.push(String(chunk)))
      server.stderr?.on('data', (chunk) => output.push(String(chunk)))
      await until(
        () => {
          if (server?.exitCode !== null) throw new Error(`LocalStack has ended:\n${output.join('')}`)
          return fetch(`http://127.0.0.1:${port}/_localstack/health`).then(
            ({ ok }) => ok,
            () => false,
          )
        },
        (isUp) => isUp,
      )
    },
    async kill() {
      if (!server || server.exitCode !== null || server.signalCode !== null) return
      const exited = once(server, 'exit')
      server.kill('SIGKILL')
      await exited
    },
  }
  t.teardown(async () => {
    await localStack.kill()
    await rm(folder, { recursive: true, force: true })
  })
  await localStack.start()
  return localStack
}
