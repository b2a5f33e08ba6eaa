/** JSON pointers (RFC 6901). Pure. */

/** The pointer to a member or element of the value at `path`. */
export function memberPath(path: string, key: string | number): string {
  return `${path}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`
}
