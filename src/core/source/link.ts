/** Links to pages about a finding. Pure. */
import type { Json } from '../platform/json.js'
import { textAt } from './fields.js'

const MAX_URL = 2048

/** The consoles' domains by partition: https://docs.aws.amazon.com/general/latest/gr/aws-general.pdf */
const CONSOLES = new Map([
  ['aws', 'console.aws.amazon.com'],
  ['aws-us-gov', 'console.amazonaws-us-gov.com'],
  ['aws-cn', 'console.amazonaws.cn'],
])
/** The Region becomes part of a host name, so that nothing else may. */
const REGION = /^[a-z]{2,4}(-[a-z]{2,12}){1,3}-\d{1,2}$/

/**
 * A page of the AWS console in a Region.
 * @param page the service's first path segment, `guardduty`
 * @param fragment what follows `#`; whatever a message wrote in it must be encoded
 */
export function consoleLink(
  partition: string | undefined,
  region: string | undefined,
  page: string,
  fragment: string,
): string | undefined {
  const domain = CONSOLES.get(partition ?? 'aws')
  if (domain === undefined || region === undefined || !REGION.test(region)) return undefined
  const host = partition === 'aws-us-gov' ? domain : `${region}.${domain}`
  return bounded(`https://${host}/${page}/home?region=${region}#${fragment}`)
}

/** The value when it is an http or https URL. */
export function webLink(value: Json | undefined): string | undefined {
  const text = textAt(value)
  return text !== undefined && /^https?:\/\//i.test(text) && URL.canParse(text) ? bounded(text) : undefined
}

/** The first of these that is a link. */
export function firstLink(...values: (Json | undefined)[]): string | undefined {
  for (const value of values) {
    const link = webLink(value)
    if (link !== undefined) return link
  }
  return undefined
}

function bounded(url: string): string | undefined {
  return url.length <= MAX_URL ? url : undefined
}
