/**
 * Connections to Redis that follow the primary: one server or an address in front of several, a cluster, or Sentinels.
 *
 * Promise: a connection whose server became a replica, or does not answer, is given up and made anew.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { isSentinelUrl, parseSentinelUrl } from './redis-url.js'

export type RedisClient = Redis | Cluster

export interface RedisUse {
  /** A producer's command fails soon; a consumer's waits for the store, and is sent again to the next primary. */
  kind: 'producer' | 'consumer'
  /** A producer's command that is not answered within this time fails. */
  producerTimeoutMs: number
}

const RECONNECT_MAX_MS = 2000
const CONNECT_TIMEOUT_MS = 2000
/** A consumer's server that says nothing for so long, when asked, is given up. */
const CONSUMER_SILENCE_MS = 5000
/**
 * A cluster promotes a replica after some seconds, and until then a command is sent again every 100 ms. A worker whose
 * command gives up before that may stay without jobs: ioredis's default of 16 is used up in less than 2 s.
 */
const MAX_REDIRECTIONS = 300
/** BullMQ copies a consumer's connection to block on it, for up to 10 s. */
const COPY: RedisOptions = { socketTimeout: 12_000 }
/**
 * What a server says that is a replica now: to writes, to commands that blocked while it was demoted, and to reads while it
 * has lost its primary. Its connections stay open, and PING is answered as before. Scripts' errors hold the word inside.
 */
const NO_PRIMARY = /\b(READONLY|UNBLOCKED|MASTERDOWN)\b/
/** How late a blocking command of a cluster may be; BullMQ waits for a second. */
const LATE_MS = 500
const FAILED_PAUSE_MS = 500
/** What ioredis takes for an answer: reconnect, and send the command again or not. */
const RECONNECT = 1
const RECONNECT_AND_RESEND = 2

/** @param urls as `redisUrls` gives them */
export function connectRedis(urls: readonly string[], use: RedisUse): RedisClient {
  const [first] = urls
  const options = optionsFor(use)
  if (urls.length > 1) return connectCluster(urls, options)
  const client = isSentinelUrl(first!) ? connectBySentinels(first!, options) : new Redis(first!, options)
  client.duplicate = (override) => new Redis({ ...client.options, ...COPY, ...override })
  return client
}

function connectCluster(urls: readonly string[], options: RedisOptions): Cluster {
  const { username, password, protocol } = new URL(urls[0]!)
  const account = {
    ...(username ? { username: decodeURIComponent(username) } : {}),
    ...(password ? { password: decodeURIComponent(password) } : {}),
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
  }
  const nodes = urls.map((url) => ({ host: new URL(url).hostname, port: Number(new URL(url).port || 6379) }))
  const client = new Cluster(nodes, {
    enableOfflineQueue: options.enableOfflineQueue,
    redisOptions: { ...options, ...account },
    clusterRetryStrategy: reconnectDelayMs,
    maxRedirections: MAX_REDIRECTIONS,
  })
  const duplicate = client.duplicate.bind(client)
  client.duplicate = (startNodes, override) => {
    const copy = duplicate(startNodes, { ...override, redisOptions: { ...override?.redisOptions, ...COPY } })
    return neverStuck(copy)
  }
  return client
}

/**
 * A blocking command that takes too long or fails while a cluster changes makes BullMQ close and connect the copy in two places
 * at once, after which its worker may wait for ever. So on a cluster the command always ends by itself, as if there were no
 * job: the worker asks for one, and then again. A marker that the command takes later is missed for a second.
 */
function neverStuck(copy: Cluster): Cluster {
  const take = copy.bzpopmin.bind(copy)
  const bzpopmin = (key: string, timeoutS: number) => {
    const taken = take(key, timeoutS).catch(() => pause(FAILED_PAUSE_MS, null, { ref: false }))
    return Promise.race([taken, pause(timeoutS * 1000 + LATE_MS, null, { ref: false })])
  }
  return Object.assign(copy, { bzpopmin })
}

function connectBySentinels(url: string, options: RedisOptions): Redis {
  const { tls, ...target } = parseSentinelUrl(url)
  return new Redis({
    ...options,
    ...target,
    // not ioredis's failoverDetector: a switch that it hears of while it reconnects already ends the connection for good
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    sentinelRetryStrategy: reconnectDelayMs,
    ...(tls ? { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true } : {}),
  })
}

function optionsFor({ kind, producerTimeoutMs }: RedisUse): RedisOptions {
  const isProducer = kind === 'producer'
  return {
    keepAlive: 10_000,
    connectTimeout: CONNECT_TIMEOUT_MS,
    retryStrategy: reconnectDelayMs,
    reconnectOnError: ({ message }) => NO_PRIMARY.test(message) && (isProducer ? RECONNECT : RECONNECT_AND_RESEND),
    ...(isProducer
      ? {
          enableOfflineQueue: false,
          maxRetriesPerRequest: 1,
          commandTimeout: producerTimeoutMs,
          socketTimeout: producerTimeoutMs,
        }
      : { maxRetriesPerRequest: null, socketTimeout: CONSUMER_SILENCE_MS }),
  }
}

function reconnectDelayMs(times: number): number {
  return Math.min(times * 100, RECONNECT_MAX_MS)
}
