/**
 * The order in which unknown URLs are fetched. Strangers may make up any number of them.
 *
 * Guarantee: a URL is fetched once at a time, however many ask. For known topics some are fetched at once from each host, and the
 * others wait: those that were asked for again go first, since SNS repeats its URL and a made-up one comes once; then the newest,
 * whose sender is still there. What is said for other topics has a budget of its own and never waits in front of them.
 */
import { Refusal } from '../platform/errors.js'

/** Whether SNS_TOPICS or an operator allows the topic that a message names. */
export type TopicStanding = 'known' | 'new'

export interface FetchQueue<T> {
  /** @throws Refusal 'undecided' when it is not fetched now, and what `fetch` throws */
  get(url: URL, standing: TopicStanding): Promise<T>
}

/** At once from one host, for known topics. */
const MAX_ACTIVE = 8
/** URLs that wait; the one that was asked for once and has waited longest gives way. Some 5 MB. */
const MAX_WAITING = 10_000
/** For all other topics together: so many a second, and so many at once after a pause. */
const NEW_PER_S = 5
const NEW_BURST = 10

interface Job<T> {
  url: URL
  result: Promise<T>
  /** Starts the fetch. */
  start(): void
  refuse(error: Refusal): void
}

interface Host<T> {
  active: number
  askedAgain: Map<string, Job<T>>
  askedOnce: Map<string, Job<T>>
}

export function createFetchQueue<T>(fetch: (url: URL) => Promise<T>, now: () => number): FetchQueue<T> {
  const jobs = new Map<string, Job<T>>()
  const hosts = new Map<string, Host<T>>()
  /** Waiting jobs of all hosts that were asked for once, the oldest first. */
  const expendable = new Map<string, Host<T>>()
  let allowance = { count: NEW_BURST, at: now() }

  function add(url: URL, onStart: () => void, onEnd: () => void): Job<T> {
    const { promise: result, resolve, reject } = withResolvers<T>()
    const end = () => {
      jobs.delete(url.href)
      onEnd()
    }
    const job = {
      ...{ url, result },
      start() {
        onStart()
        fetch(url).finally(end).then(resolve, reject)
      },
      refuse(error: Refusal) {
        jobs.delete(url.href)
        reject(error)
      },
    }
    jobs.set(url.href, job)
    return job
  }

  function forKnown(url: URL): Promise<T> {
    const host = hosts.get(url.host) ?? { active: 0, askedAgain: new Map(), askedOnce: new Map() }
    hosts.set(url.host, host)
    const job = add(
      url,
      () => host.active++,
      () => {
        host.active--
        startNext(url.host, host)
      },
    )
    if (host.active < MAX_ACTIVE) job.start()
    else wait(job, host)
    return job.result
  }

  function wait(job: Job<T>, host: Host<T>): void {
    host.askedOnce.set(job.url.href, job)
    expendable.set(job.url.href, host)
    if (expendable.size <= MAX_WAITING) return
    const [oldest, itsHost] = expendable.entries().next().value!
    const given = take(itsHost, oldest)
    given.refuse(new Refusal('undecided', 'Too many signing certificates are asked for: send it again.'))
  }

  /** Takes a job that was asked for once out of the queue. */
  function take(host: Host<T>, href: string): Job<T> {
    const job = host.askedOnce.get(href)!
    host.askedOnce.delete(href)
    expendable.delete(href)
    return job
  }

  function startNext(name: string, host: Host<T>): void {
    const [again] = host.askedAgain.values()
    if (again) {
      host.askedAgain.delete(again.url.href)
      return again.start()
    }
    const newest = [...host.askedOnce.keys()].at(-1)
    if (newest !== undefined) take(host, newest).start()
    else if (host.active === 0) hosts.delete(name)
  }

  function forNew(url: URL): Promise<T> {
    const at = now()
    const earned = Math.max(0, at - allowance.at) * (NEW_PER_S / 1000)
    allowance = { count: Math.min(NEW_BURST, allowance.count + earned), at }
    if (allowance.count < 1) {
      throw new Refusal('undecided', 'Too many signing certificates of topics that wait are asked for: send it again.')
    }
    allowance.count--
    const job = add(
      url,
      () => {},
      () => {},
    )
    job.start()
    return job.result
  }

  return {
    async get(url, standing) {
      const job = jobs.get(url.href)
      if (!job) return standing === 'known' ? forKnown(url) : forNew(url)
      const host = expendable.get(url.href)
      if (host && standing === 'known') host.askedAgain.set(url.href, take(host, url.href))
      return job.result
    },
  }
}

function withResolvers<T>() {
  let resolve!: (value: T) => void
  let reject!: (error: unknown) => void
  const promise = new Promise<T>((...settle) => ([resolve, reject] = settle))
  return { promise, resolve, reject }
}
