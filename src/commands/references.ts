/**
 * `${env:NAME}` inside a text: what a file says instead of a secret. Pure.
 *
 * Promise: `resolveReferences(escapeReferences(text))` is `text`, whatever it holds; the value of a variable is text, never
 * read for references again.
 */

/** An escaped beginning (`$${env:`, one dollar or more too many), or a reference, with or without its end. */
const REFERENCE = /\$(\$+\{env:)|\$\{env:([^}]*)(\}?)/g
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/

/**
 * Puts the values of variables in the places of their references.
 * @returns the text, and what is wrong with it: a variable that is not set (or empty) is named, its value never
 */
export function resolveReferences(
  text: string,
  env: Record<string, string | undefined>,
): { text: string; problems: string[] } {
  const problems: string[] = []
  const resolved = text.replace(REFERENCE, (whole, escaped?: string, name = '', end = '') => {
    if (escaped !== undefined) return escaped
    if (end === '' || !VARIABLE.test(name)) {
      problems.push(`holds \${env:...} without the name of a variable; a text \${env: is written $\${env:`)
      return whole
    }
    const value = Object.hasOwn(env, name) ? env[name] : undefined
    if (!value) problems.push(`needs the environment variable ${name}, which is not set`)
    return value ?? ''
  })
  return { text: resolved, problems }
}

/** The text so written that nothing in it is a reference. */
export function escapeReferences(text: string): string {
  return text.replace(/\$+\{env:/g, '$$$&')
}

export function hasReference(text: string): boolean {
  return [...text.matchAll(REFERENCE)].some(([, escaped]) => escaped === undefined)
}

/** The reference to a variable, as a file holds it. */
export function referenceTo(variable: string): string {
  return `\${env:${variable}}`
}
