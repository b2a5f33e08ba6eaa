/** The interface of a command: it takes arguments and its streams, and returns an exit code or throws a one-line error. */

/**
 * 0: done. 1: failed, with the reason on stderr. 2: the command line is wrong, with the usage on stderr; or `apply --check`
 * found changes. A union, so that the compiler refuses any other number.
 */
export type ExitCode = 0 | 1 | 2

export interface Command {
  /** Printed for --help, and after a UsageError. */
  usage: string
  /**
   * @param args the arguments after the command's name
   * @throws UsageError or an error of parseArgs: exit code 2; CommandError, SettingError: exit code 1
   */
  run(args: string[], io: CommandIo): Promise<ExitCode>
}

/** The environment and output streams of a command. */
export interface CommandIo {
  env: Record<string, string | undefined>
  /** Prints a line of the result on stdout. */
  print(line: string): void
  /** Prints a note for the user on stderr. */
  note(line: string): void
}

/** The command failed; the message is shown to the user. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** The command line is invalid: an argument is missing, surplus or unknown. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** True also for the errors of parseArgs. */
export function isUsageError(error: unknown): boolean {
  if (error instanceof UsageError) return true
  return error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS')
}

/** Escapes control characters in text from users, since a terminal would execute them. */
export function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?')
}
