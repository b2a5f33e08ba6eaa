/**
 * The bare loops. `listen`: a Fastify route that parses and verifies messages with the relay's own code and forwards them,
 * signed, without storing. `post`: an undici loop that posts signed bodies.
 */
import { randomUUID } from 'node:crypto'
import fastify from 'fastify'
import { Agent } from 'undici'
import { newSecret, signatureHeaders } from '../../src/core/delivery/signature.js'
import { createCertificateCache } from '../../src/core/sns/certificate-cache.js'
import { parseSnsMessage } from '../../src/core/sns/message.js'
import { createVerifier } from '../../src/core/sns/verify.js'
import { nowMs, serveCommands } from '../program.js'

const secrets = [newSecret()]
const agent = new Agent({ connections: 2048, pipelining: 1 })

async function send(url: string, id: string, body: string): Promise<void> {
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'bare',
    ...signatureHeaders({ id, timestamp: new Date(), body, secrets }),
  }
  const { origin, pathname } = new URL(url)
  const answer = await agent.request({ origin, path: pathname, method: 'POST', headers, body })
  await answer.body.dump()
}

const commands = {
  /** Forwards every message to every target. @returns its own URL */
  async listen(emulatorOrigin: string, targets: string[]): Promise<string> {
    const certificates = createCertificateCache({ emulatorOrigin })
    const verifier = createVerifier({ certificates, maxAgeS: 4200, emulatorOrigin })
    const http = fastify()
    http.removeAllContentTypeParsers()
    http.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    http.post('/sns', async (request) => {
      const message = parseSnsMessage(request.body as Buffer)
      await verifier.verify(message, 'known')
      const eventId = randomUUID()
      if (message.Type === 'Notification') for (const url of targets) void send(url, eventId, message.Message)
      return { result: 'verified', event_id: eventId }
    })
    return http.listen({ host: '127.0.0.1', port: 0 })
  },
  /** Posts the body `count` times, `concurrency` at a time. @returns the seconds until all were answered */
  async post(url: string, body: string, count: number, concurrency: number): Promise<number> {
    let remaining = count
    const started = nowMs()
    await Promise.all(
      Array.from({ length: concurrency }, async () => {
        while (remaining-- > 0) await send(url, randomUUID(), body)
      }),
    )
    return (nowMs() - started) / 1000
  },
}

export type Bare = typeof commands
serveCommands(commands)
