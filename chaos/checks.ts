/** The checks of a run, which decide its exit code. */
import { ON_TIME_MS } from './lateness.js'
import { inMegabytes, inSeconds, type Check } from './report.js'
import type { RunResult, WebhookResult } from './scenario.js'

/** The memory limit of one process. */
const MAX_BYTES = 700 * 1024 * 1024
/** On a busy machine requests sent within two seconds may arrive within one; without a limit there are four times the rate. */
const RATE_MARGIN = 2

/** @param options.isTimed true: an alert that is late fails the run; in a short run, as of CI, its lateness is only told */
export function checksOf(result: RunResult, { isTimed }: { isTimed: boolean }): Check[] {
  const webhooks = result.webhooks.flatMap((webhook) => [
    ...checkWebhook(webhook),
    ...(isTimed && webhook.healthy ? [checkLateness(webhook)] : []),
  ])
  return [...checkFlow(result), ...webhooks, ...checkRelays(result)]
}

function checkLateness({ name, report: { latestMs } }: WebhookResult): Check {
  return check(`${name}: at most ${inSeconds(ON_TIME_MS)} s late`, latestMs <= ON_TIME_MS, `${inSeconds(latestMs)} s`)
}

function checkFlow({ flow, undispatched, faults, drainMs }: RunResult): Check[] {
  const kinds = faults.counts.size
  return [
    none('no message is refused for good', flow.rejected, flow.rejections),
    none('every other message is answered 200', flow.sent - flow.accepted - flow.rejected),
    none('a repeated message is the same event', flow.split),
    none('every event is dispatched', undispatched),
    check('every kind of fault is injected', kinds === faults.kinds, `${kinds} of ${faults.kinds}`),
    none('no fault fails to be injected', faults.failures.length, faults.failures),
    check('everything drains in time', drainMs !== undefined, 'it does not'),
  ]
}

function checkWebhook({ name, supported, report, pending, dead, dropped }: WebhookResult): Check[] {
  const checks = [
    none(`${name}: no event is lost`, report.missing, report.missingIds),
    none(`${name}: every delivery verifies`, report.unverified),
    none(`${name}: a value is new in its own event only`, report.misplaced),
    none(`${name}: no delivery stays pending, dead or dropped`, pending + dead + dropped),
  ]
  const { max_in_flight: limit, rate_per_second: rate, order } = supported
  if (limit !== undefined) {
    const { maxInFlight } = report
    checks.push(check(`${name}: at most ${limit} in flight`, maxInFlight <= limit, String(maxInFlight)))
  }
  if (rate !== undefined) {
    const max = rate * RATE_MARGIN
    const { maxPerSecond } = report
    checks.push(check(`${name}: at most ${max} in a second`, maxPerSecond <= max, String(maxPerSecond)))
  }
  if (order) checks.push(none(`${name}: the changes of an alert arrive in order`, report.disordered))
  return checks
}

function checkRelays({ processes }: RunResult): Check[] {
  return processes.flatMap(({ name, failures, peakBytes }) => [
    none(`${name}: ends only when it is stopped`, failures.length, failures),
    check(`${name}: at most ${inMegabytes(MAX_BYTES)} MB`, peakBytes <= MAX_BYTES, `${inMegabytes(peakBytes)} MB`),
  ])
}

function none(name: string, count: number, examples: readonly string[] = []): Check {
  return check(name, count === 0, [String(count), ...examples].join('\n        '))
}

function check(name: string, passed: boolean, found: string): Check {
  return { name, passed, found }
}
