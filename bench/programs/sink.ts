/** The receiver of webhooks. It does as little as HTTP allows, so that it is not the bottleneck. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { markedNumber } from '../message.js'
import { nowMs, serveCommands } from '../program.js'

/** The recorded requests, as columns in the order of arrival. */
export interface Arrivals {
  eventIds: string[]
  paths: string[]
  atMs: number[]
}

/** The requests with a mark: the number of the message of each, and when it arrived. */
export interface Marked {
  numbers: number[]
  atMs: number[]
}

const none = (): Arrivals => ({ eventIds: [], paths: [], atMs: [] })

let arrivals: Arrivals | undefined
let mark: string | undefined
let marked: Marked = { numbers: [], atMs: [] }
let count = 0
let lastBody = ''
let delayMs = 0
let hanging = new Set<number>()
let inFlight = 0
let maxInFlight = 0
const marks: { at: number; reached: (atMs: number) => void }[] = []

function handle(request: IncomingMessage, response: ServerResponse): void {
  maxInFlight = Math.max(maxInFlight, ++inFlight)
  response.on('close', () => inFlight--)
  arrivals?.atMs.push(nowMs())
  arrivals?.paths.push(request.url ?? '')
  arrivals?.eventIds.push(String(request.headers['webhook-id']))
  count++
  while (marks[0] && count >= marks[0].at) marks.shift()!.reached(nowMs())
  if (lastBody === '') request.on('data', (chunk) => (lastBody += String(chunk)))
  if (mark === undefined) request.resume()
  else readMark(request, mark)
  if (hanging.has(request.socket.localPort ?? 0)) return
  if (delayMs > 0) setTimeout(() => response.writeHead(204).end(), delayMs)
  else request.on('end', () => response.writeHead(204).end())
}

function readMark(request: IncomingMessage, expected: string): void {
  const atMs = nowMs()
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const number = markedNumber(expected, Buffer.concat(chunks).toString('latin1'))
    // what a measurement before left behind has another mark
    if (number === undefined || expected !== mark) return
    marked.numbers.push(number)
    marked.atMs.push(atMs)
  })
}

const commands = {
  /** Opens so many ports. */
  async listen(ports: number): Promise<number[]> {
    const servers = Array.from({ length: ports }, () => createServer(handle))
    for (const server of servers) {
      server.keepAliveTimeout = 60_000
      await once(server.listen(0, '127.0.0.1'), 'listening')
    }
    return servers.map((server) => (server.address() as AddressInfo).port)
  },
  /** Sets how the ports answer: after a delay, or not at all. */
  configure(options: { delayMs?: number; hangingPorts?: number[] }): void {
    delayMs = options.delayMs ?? 0
    hanging = new Set(options.hangingPorts)
  },
  /** Sets the count of requests to 0. */
  resetCount(): void {
    count = 0
  },
  /** Resolves with the time of the `at`-th request. To be called before it arrives, and with ascending numbers. */
  arrived: (at: number): Promise<number> => new Promise((resolve) => marks.push({ at, reached: resolve })),
  /** Records every request from now on. */
  record(): void {
    arrivals = none()
    maxInFlight = inFlight
  },
  /** The requests since `record`; recording goes on. */
  recorded(): Arrivals & { maxInFlight: number } {
    return { ...(arrivals ?? none()), maxInFlight }
  },
  /** Reads the body of every request from now on, and keeps those that have the mark. */
  follow(expected: string): void {
    mark = expected
    marked = { numbers: [], atMs: [] }
  },
  /** How many they are, and when the last of them arrived. */
  followed: (): { count: number; lastMs: number } => ({ count: marked.atMs.length, lastMs: marked.atMs.at(-1) ?? 0 }),
  marked: (): Marked => marked,
  /** How many of them have a path with this prefix. */
  countAt: (prefix: string): number => arrivals?.paths.filter((path) => path.startsWith(prefix)).length ?? 0,
  /** The body of the first request. */
  body: (): string => lastBody,
}

export type Sink = typeof commands
serveCommands(commands)
