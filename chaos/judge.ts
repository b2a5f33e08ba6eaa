/** What a run amounts to: the tables it prints, and the checks that decide its exit code. */
import type { Facts, WebhookFacts } from './performance.js'
import { printTable, type Check } from './report.js'
import { ACTION_KINDS } from './saboteur.js'

/** What one process may take. */
const MAX_BYTES = 700 * 1024 * 1024
/** A busy machine lets what was sent in two seconds arrive in one; without a limit it is four times the rate. */
const RATE_MARGIN = 2

export function judge(facts: Facts): Check[] {
  printTables(facts)
  return [...checkFlow(facts), ...facts.webhooks.flatMap((webhook) => checkWebhook(webhook)), ...checkRelays(facts)]
}

function printTables({ flow, accepted, changes, webhooks, processes, sabotage, drainMs }: Facts): void {
  printTable('messages', [
    {
      sent: flow.sent,
      'told 200': flow.accepted,
      changes,
      repeated: flow.repeated,
      '5xx': flow.refused,
      'no answer': flow.unanswered,
      '4xx': flow.rejected,
    },
  ])
  printTable(
    'webhooks',
    webhooks.map(({ name, demands, understood, report }) => ({
      webhook: name,
      expected: accepted,
      received: report.received,
      LOST: report.missing,
      duplicates: report.duplicates,
      unverified: report.unverified,
      'in flight': report.maxInFlight,
      'in 1 s': report.maxPerSecond,
      'out of order': report.disordered,
      misplaced: report.misplaced,
      changes: report.changes,
      demands: demandsInWords(demands, understood),
    })),
  )
  printTable(
    'processes',
    processes.map(({ name, lives, excused, peakBytes }) => ({
      process: name,
      starts: lives,
      'given up': excused,
      'peak RSS, MB': inMegabytes(peakBytes),
    })),
  )
  printTable(
    'sabotage',
    [...sabotage.counts].sort().map(([action, times]) => ({ action, times })),
  )
  printTable('drain', [{ seconds: drainMs === undefined ? 'never' : Math.round(drainMs / 1000) }])
}

function demandsInWords(demands: WebhookFacts['demands'], understood: WebhookFacts['demands']): string {
  const words = Object.entries(demands).map(([name, value]) => `${name}: ${String(value)}`)
  if (words.length > 0 && Object.keys(understood).length === 0) return `(not known to this relay: ${words.join(', ')})`
  return words.join(', ')
}

function checkFlow({ flow, undispatched, sabotage, drainMs }: Facts): Check[] {
  const kinds = sabotage.counts.size
  return [
    none('no message is refused for good', flow.rejected, flow.rejections),
    none('no message stays without a 200', flow.sent - flow.accepted - flow.rejected),
    none('no repeat becomes another event', flow.split),
    none('no event stays undispatched', undispatched),
    holds('every kind of sabotage happens', kinds === ACTION_KINDS, `${kinds} of ${ACTION_KINDS}`),
    none('no sabotage fails', sabotage.failures.length, sabotage.failures),
    holds('everything drains in time', drainMs !== undefined, 'it does not'),
  ]
}

function checkWebhook({ name, understood, report, pending, dead, dropped }: WebhookFacts): Check[] {
  const checks = [
    none(`${name}: no event is lost`, report.missing, report.missingIds),
    none(`${name}: every delivery verifies`, report.unverified),
    none(`${name}: a value is new in its own event alone`, report.misplaced),
    none(`${name}: no delivery stays pending, dead or dropped`, pending + dead + dropped),
  ]
  const { max_in_flight: limit, rate_per_second: rate, order } = understood
  if (limit !== undefined) {
    const { maxInFlight } = report
    checks.push(holds(`${name}: at most ${limit} in flight`, maxInFlight <= limit, String(maxInFlight)))
  }
  if (rate !== undefined) {
    const most = rate * RATE_MARGIN
    const { maxPerSecond } = report
    checks.push(holds(`${name}: at most ${most} in a second`, maxPerSecond <= most, String(maxPerSecond)))
  }
  if (order) checks.push(none(`${name}: the changes of an alert come in order`, report.disordered))
  return checks
}

function checkRelays({ processes }: Facts): Check[] {
  return processes.flatMap(({ name, faults, peakBytes }) => [
    none(`${name}: ends only when it is told to`, faults.length, faults),
    holds(`${name}: at most ${inMegabytes(MAX_BYTES)} MB`, peakBytes <= MAX_BYTES, `${inMegabytes(peakBytes)} MB`),
  ])
}

function inMegabytes(bytes: number): number {
  return Math.round(bytes / 1024 / 1024)
}

function none(name: string, count: number, examples: readonly string[] = []): Check {
  return holds(name, count === 0, [String(count), ...examples].join('\n        '))
}

function holds(name: string, passed: boolean, found: string): Check {
  return { name, passed, found }
}
