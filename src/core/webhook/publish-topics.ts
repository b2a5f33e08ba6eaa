/** The topics that webhooks may publish to. Pure. */
import type { FieldError } from '../platform/errors.js'
import { publishProblem } from '../platform/sns-client.js'
import { parseTopicArn } from '../platform/topic-pattern.js'

/**
 * The errors of a URL that a request sets.
 * @param allowed SNS_PUBLISH_TOPICS
 * @param current the URL that the webhook has: one that is there may be sent back, whatever the setting says now
 */
export function publishErrors(allowed: readonly string[], url: string | undefined, current?: string): FieldError[] {
  if (url === undefined || url === current || !parseTopicArn(url)) return []
  const problem = publishProblem(allowed, url)
  return problem === undefined ? [] : [{ path: '/url', detail: problem }]
}
