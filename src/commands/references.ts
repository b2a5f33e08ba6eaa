/**
 * References to environment variables, `${env:NAME}`, which a file has in place of secrets. Pure.
 *
 * Guarantee: `resolveReferences(escapeReferences(text))` is `text`, for any text. References in the value of a variable are
 * not resolved.
 */

/** An escaped start (`$${env:`, with one extra dollar or more), or a reference, with or without its closing brace. */
const REFERENCE = /\$(\$+\{env:)|\$\{env:([^}]*)(\}?)/g
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/

/**
 * Replaces references by the values of their variables.
 * @returns the text, and its problems: they name variables that are not set or empty, and contain no values
 */
export function resolveReferences(
  text: string,
  env: Record<string, string | undefined>,
): { text: string; problems: string[] } {
  const problems: string[] = []
  const resolved = text.replace(REFERENCE, (match, escaped?: string, name = '', end = '') => {
    if (escaped !== undefined) return escaped
    if (end === '' || !VARIABLE.test(name)) {
      problems.push(`holds \${env:...} without the name of a variable; a text \${env: is written $\${env:`)
      return match
    }
    const value = Object.hasOwn(env, name) ? env[name] : undefined
    if (!value) problems.push(`needs the environment variable ${name}, which is not set`)
    return value ?? ''
  })
  return { text: resolved, problems }
}

/** Escapes everything in the text that would be read as a reference. */
export function escapeReferences(text: string): string {
  return text.replace(/\$+\{env:/g, '$$$&')
}

export function hasReference(text: string): boolean {
  return [...text.matchAll(REFERENCE)].some(([, escaped]) => escaped === undefined)
}

/** The reference to a variable, in the syntax of the file. */
export function referenceTo(variable: string): string {
  return `\${env:${variable}}`
}
