/** Request ids: what a request is called in its answer, in the log and in the audit log. Pure. */
import { newId } from './id.js'

export const REQUEST_ID_HEADER = 'x-request-id'

/** The characters of UUIDs, trace ids and paths: these can stand in a header and in a line of the log as they are. */
const USABLE = /^[\w.:+/=@-]{1,128}$/

/** The caller's id if it can be used, else a new one (`req_...`). @param given the request's header */
export function requestIdOf(given: string | string[] | undefined): string {
  return typeof given === 'string' && USABLE.test(given) ? given : newId('req')
}
