/**
 * What makes a webhook whole, beyond its schema; and what of it is shown.
 *
 * Promise: what passes `checkWebhook` can be delivered to; what does not is refused naming every field at fault. Nothing
 * private is in what is `shown`, and what is shown can be sent back.
 */
import { parseTopicArn } from '../event/topic-pattern.js'
import { Refusal, type FieldError } from '../platform/errors.js'
import type { JsonObject } from '../platform/json.js'
import { checkCredentials } from './credentials.js'
import { maskCredentials, unmask } from './credentials-mask.js'
import { FilterPolicyError } from '../filter/policy-error.js'
import { parseFilterPolicy, type FilterPolicy } from '../filter/policy.js'
import { checkFormat, hideSecrets, revealSecrets } from '../format/options.js'
import { webUrlProblem } from './web-url.js'
import { isTopicUrl, type PrivateFields, type Webhook, type WebhookPatch, type WebhookView } from './webhook.js'

type PrivatePatch = Partial<Pick<WebhookPatch, keyof PrivateFields>>

/**
 * The private fields of a request, with what was shown hidden and came back so put in its place.
 * @param current what the webhook has; undefined for a new one
 * @throws Refusal 'invalid_request' where there is nothing to keep
 */
export function revealPrivate(patch: PrivatePatch, current: PrivateFields | undefined): Partial<PrivateFields> {
  const { format_options: options } = patch
  const { credentials, errors } = unmask(patch, current)
  refuse(errors)
  if (options === undefined) return credentials
  return { ...credentials, format_options: revealSecrets(options, current?.format_options ?? {}) }
}

/** A webhook without what nobody is shown. */
export function shown<T extends Webhook>(webhook: T): Omit<T, keyof PrivateFields> & WebhookView {
  return { ...webhook, ...maskCredentials(webhook), format_options: hideSecrets(webhook.format_options) }
}

/**
 * Checks what schemas cannot say of a webhook as a whole.
 * @param options.credentials true when they or the URL are new: a certificate that expires later is no reason to refuse
 *   another change
 * @throws Refusal 'invalid_request' naming every field at fault
 */
export function checkWebhook(webhook: Webhook, { credentials, now }: { credentials: boolean; now: Date }): void {
  const { url, filter, format, format_options: options } = webhook
  checkWebhookUrl(url)
  refuse([
    ...filterErrors(filter),
    ...checkFormat(format, options).map(under('/format_options')),
    ...(credentials ? checkCredentials({ ...webhook, now }) : []),
  ])
}

function refuse(errors: FieldError[]): void {
  if (errors.length === 0) return
  const detail = errors.map(({ path, detail }) => `${path.slice(1)} ${detail}`).join('; ')
  throw new Refusal('invalid_request', detail, { errors })
}

function under(field: string): (error: FieldError) => FieldError {
  return ({ path, detail }) => ({ path: field + path, detail })
}

function filterErrors(filter: JsonObject | null): FieldError[] {
  try {
    if (filter !== null) parseFilterPolicy(filter)
    return []
  } catch (error) {
    if (!(error instanceof FilterPolicyError)) throw error
    return [{ path: `/filter${error.path}`, detail: error.reason }]
  }
}

/**
 * Compiles the filter of a request.
 * @throws Refusal 'invalid_request' naming the place at fault
 */
export function policyOf(filter: JsonObject): FilterPolicy {
  const [error] = filterErrors(filter)
  if (error) throw new Refusal('invalid_request', `${error.path.slice(1)} ${error.detail}`, { errors: [error] })
  return parseFilterPolicy(filter)
}

/**
 * Checks a webhook URL beyond its length: absolute, http or https, no credentials (they would be logged and listed), no
 * fragment (it never reaches a server); or the ARN of a topic. Where it leads is checked at each connection, when its
 * name is resolved.
 * @throws Refusal 'invalid_request' naming the field
 */
function checkWebhookUrl(text: string): void {
  const problem = isTopicUrl(text) ? topicArnProblem(text) : webUrlProblem(text)
  if (problem !== undefined) refuse([{ path: '/url', detail: problem }])
}

function topicArnProblem(text: string): string | undefined {
  return parseTopicArn(text)
    ? undefined
    : 'is no ARN of an SNS topic, such as arn:aws:sns:us-east-1:123456789012:changes'
}
