/** JSON pointers (RFC 6901): where in a document something is. Pure. */

/** The pointer to a member of what `path` points to. */
export function memberPath(path: string, key: string | number): string {
  return `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`
}
