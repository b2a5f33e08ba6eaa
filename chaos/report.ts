/** Prints the tables and checks of a run on stdout. */
import type { RunResult, WebhookResult } from './scenario.js'

export interface Check {
  name: string
  passed: boolean
  /** What was found, for a check that failed. */
  found: string
}

export function printTables({ flow, accepted, changes, webhooks, processes, faults, drainMs }: RunResult): void {
  printTable('messages', [
    {
      sent: flow.sent,
      accepted: flow.accepted,
      changes,
      repeated: flow.repeated,
      '5xx': flow.refused,
      'no answer': flow.unanswered,
      '4xx': flow.rejected,
    },
  ])
  printTable(
    'webhooks',
    webhooks.map(({ name, healthy, options, supported, report }) => ({
      webhook: name,
      expected: accepted,
      received: report.received,
      LOST: report.missing,
      'late, s': `${inSeconds(report.latestMs)}${healthy ? '' : ' *'}`,
      duplicates: report.duplicates,
      unverified: report.unverified,
      'in flight': report.maxInFlight,
      'in 1 s': report.maxPerSecond,
      'out of order': report.disordered,
      misplaced: report.misplaced,
      changes: report.changes,
      options: optionsText(options, supported),
    })),
  )
  print('late: the greatest time from 200, or from the end of the faults that it met, to arrival')
  print('*: its receiver or its limits delay; never more than 10 s for the others')
  printTable(
    'processes',
    processes.map(({ name, starts, excused, peakBytes }) => ({
      process: name,
      starts,
      excused,
      'peak RSS, MB': inMegabytes(peakBytes),
    })),
  )
  printTable(
    'faults',
    [...faults.counts].sort().map(([fault, times]) => ({ fault, times })),
  )
  printTable('drain', [{ seconds: drainMs === undefined ? 'never' : Math.round(drainMs / 1000) }])
}

/** The last line says how many checks passed. */
export function printChecks(checks: readonly Check[]): void {
  const failed = checks.filter(({ passed }) => !passed)
  print('')
  for (const { name, found } of failed) print(`FAILED  ${name}: ${found}`)
  print(`${checks.length - failed.length} passed, ${failed.length} failed`)
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}

export function inMegabytes(bytes: number): number {
  return Math.round(bytes / 1024 / 1024)
}

export function inSeconds(ms: number): number {
  return Math.round(ms / 100) / 10
}

function optionsText(options: WebhookResult['options'], supported: WebhookResult['options']): string {
  const texts = Object.entries(options).map(([name, value]) => `${name}: ${String(value)}`)
  if (texts.length > 0 && Object.keys(supported).length === 0) return `(not supported: ${texts.join(', ')})`
  return texts.join(', ')
}

function printTable(title: string, rows: Record<string, string | number>[]): void {
  if (rows.length === 0) return
  const keys = Object.keys(rows[0]!)
  const isNumeric = (key: string) => rows.every((row) => typeof row[key] === 'number' || row[key] === '-')
  const widths = keys.map((key) => Math.max(key.length, ...rows.map((row) => String(row[key]).length)))
  const line = (cells: (string | number)[]) =>
    cells
      .map((cell, i) => (isNumeric(keys[i]!) ? String(cell).padStart(widths[i]!) : String(cell).padEnd(widths[i]!)))
      .join('  ')
      .trimEnd()
  print(`\n${title}`)
  print(line(keys))
  print(widths.map((width) => '-'.repeat(width)).join('  '))
  for (const row of rows) print(line(keys.map((key) => row[key]!)))
}
