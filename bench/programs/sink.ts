/** The receiver of webhooks: the least that HTTP allows, so that it is never what is measured. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { nowMs, serveCommands } from '../program.js'

/** What was recorded, as columns in the order of arrival. */
export interface Arrivals {
  eventIds: string[]
  paths: string[]
  atMs: number[]
}

const none = (): Arrivals => ({ eventIds: [], paths: [], atMs: [] })

let recorded: Arrivals | undefined
let count = 0
let lastBody = ''
let delayMs = 0
let hanging = new Set<number>()
let inFlight = 0
let mostInFlight = 0
const marks: { at: number; reached: (atMs: number) => void }[] = []

function take(request: IncomingMessage, response: ServerResponse): void {
  mostInFlight = Math.max(mostInFlight, ++inFlight)
  response.on('close', () => inFlight--)
  recorded?.atMs.push(nowMs())
  recorded?.paths.push(request.url ?? '')
  recorded?.eventIds.push(String(request.headers['webhook-id']))
  count++
  while (marks[0] && count >= marks[0].at) marks.shift()!.reached(nowMs())
  if (lastBody === '') request.on('data', (chunk) => (lastBody += String(chunk)))
  request.resume()
  if (hanging.has(request.socket.localPort ?? 0)) return
  if (delayMs > 0) setTimeout(() => response.writeHead(204).end(), delayMs)
  else request.on('end', () => response.writeHead(204).end())
}

const commands = {
  /** Opens so many ports. */
  async listen(ports: number): Promise<number[]> {
    const servers = Array.from({ length: ports }, () => createServer(take))
    for (const server of servers) {
      server.keepAliveTimeout = 60_000
      await once(server.listen(0, '127.0.0.1'), 'listening')
    }
    return servers.map((server) => (server.address() as AddressInfo).port)
  },
  /** How the ports answer from now on: after a time, or not at all. */
  behave(how: { delayMs?: number; hangingPorts?: number[] }): void {
    delayMs = how.delayMs ?? 0
    hanging = new Set(how.hangingPorts)
  },
  /** Counts from now on. */
  countAnew(): void {
    count = 0
  },
  /** When so many requests had come; asked for before they come, the smaller numbers first. */
  arrived: (at: number): Promise<number> => new Promise((resolve) => marks.push({ at, reached: resolve })),
  /** Records every request from now on. */
  record(): void {
    recorded = none()
    mostInFlight = inFlight
  },
  /** What came since `record`; goes on recording. */
  taken(): Arrivals & { mostInFlight: number } {
    return { ...(recorded ?? none()), mostInFlight }
  },
  /** How many of them went to paths that begin so. */
  takenAt: (prefix: string): number => recorded?.paths.filter((path) => path.startsWith(prefix)).length ?? 0,
  /** The body of the first request that ever came. */
  body: (): string => lastBody,
}

export type Sink = typeof commands
serveCommands(commands)
