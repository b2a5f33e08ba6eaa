/** What a command is: arguments and a part of the process in, an exit code out; what it throws is a line for the person. */

/**
 * 0: done. 1: it failed, and stderr says why. 2: the command line is wrong, and stderr has the usage; or `apply --check` found
 * something to change. A union of numbers, so that a command cannot return what another function happened to return.
 */
export type ExitCode = 0 | 1 | 2

export interface Command {
  /** What --help prints, and what follows a UsageError. */
  usage: string
  /**
   * @param args what follows the command's name
   * @throws UsageError, or what parseArgs throws: exit code 2; CommandError, SettingError: exit code 1
   */
  run(args: string[], io: CommandIo): Promise<ExitCode>
}

/** What a command is given of the process. */
export interface CommandIo {
  env: Record<string, string | undefined>
  /** A line of the result, on stdout. */
  print(line: string): void
  /** A line for the person alone, on stderr. */
  tell(line: string): void
}

/** A command that was not done; the message is what the person reads. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** A command line that cannot be run: something is missing, surplus or unknown. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** True also of what parseArgs throws. */
export function isUsageError(error: unknown): boolean {
  if (error instanceof UsageError) return true
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
}

/** A person's text for a terminal: control characters would be commands to it. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?')
}
