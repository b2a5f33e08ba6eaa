/** Tables and checks on stdout. */

export interface Check {
  name: string
  passed: boolean
  /** What was found instead. */
  found: string
}

export function printTable(title: string, rows: Record<string, string | number>[]): void {
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

/** The last line says how many held. */
export function printChecks(checks: readonly Check[]): void {
  const failed = checks.filter(({ passed }) => !passed)
  print('')
  for (const { name, found } of failed) print(`FAILED  ${name}: ${found}`)
  print(`${checks.length - failed.length} passed, ${failed.length} failed`)
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
