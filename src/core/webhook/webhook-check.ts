/**
 * Validation of a webhook beyond its schema, and its view in the API.
 *
 * Guarantee: a webhook that passes `checkWebhook` can be delivered to; one that does not is refused with every wrong field
 * named. A view holds no secret and can be sent back.
 */
import { refuseFields, type FieldError } from '../platform/errors.js'
import type { JsonObject } from '../platform/json.js'
import { parseTopicArn, topicErrors } from '../platform/topic-pattern.js'
import { isMaskedUrl, maskUrl } from '../platform/url-mask.js'
import { intervalProblem } from './alert-changes.js'
import { checkCredentials } from './credentials-check.js'
import { maskCredentials, unmask } from './credentials-mask.js'
import { filterErrors } from '../filter/complexity.js'
import { parseFilterPolicy, type FilterPolicy } from '../filter/policy.js'
import { checkFormat, hideSecrets, keepsIssues, revealSecrets, withoutSecrets } from '../format/options.js'
import { areOfOneOrigin, webUrlProblem } from './web-url.js'
import {
  isTopicUrl,
  NOTHING_PRIVATE,
  type PrivateFields,
  type Webhook,
  type WebhookPatch,
  type WebhookView,
} from './webhook.js'

type PrivatePatch = Partial<Pick<WebhookPatch, keyof PrivateFields>>

/**
 * The private fields of a request, with masks replaced by the stored secrets.
 * @param current the private fields of the webhook; undefined for a new one
 * @throws Refusal 'invalid_request' for a mask without a stored secret
 */
export function revealPrivate(patch: PrivatePatch, current: PrivateFields | undefined): Partial<PrivateFields> {
  const { format_options: options } = patch
  const { credentials, errors } = unmask(patch, current)
  refuseFields(errors)
  if (options === undefined) return credentials
  return { ...credentials, format_options: revealSecrets(options, current?.format_options ?? {}) }
}

/**
 * The URL of a request: a masked one stands for the URL that the webhook has.
 * @param current the URL of the webhook; undefined for a new one
 * @throws Refusal 'invalid_request' when it is the masked form of another URL
 */
export function revealUrl(url: string, current: string | undefined): string {
  if (!isMaskedUrl(url)) return url
  if (current !== undefined && url === maskUrl(current)) return current
  const why = current === undefined ? 'and there is no URL to keep' : 'and not of the URL that this webhook has'
  refuseFields([{ path: '/url', detail: `is masked, as URLs are shown, ${why}: send the whole URL` }])
  return url
}

/** A patch without a masked URL, which stands for the one that the webhook has. @throws as `revealUrl` */
export function withWholeUrl({ url, ...patch }: WebhookPatch, current: string): WebhookPatch {
  if (url === undefined) return patch
  return isMaskedUrl(url) && revealUrl(url, current) === current ? patch : { ...patch, url }
}

/**
 * The private fields that a webhook keeps under another URL. A secret is kept only for the origin that it was given for:
 * otherwise whoever may change the URL could have it sent to himself.
 * @returns also the names of those that it does not keep
 */
export function keptUnder(url: string, webhook: Webhook): { kept: PrivateFields; dropped: string[] } {
  const { format_options: options, headers, auth, tls } = webhook
  if (areOfOneOrigin(url, webhook.url)) return { kept: { format_options: options, headers, auth, tls }, dropped: [] }
  const { kept, dropped } = withoutSecrets(options)
  return {
    kept: { ...NOTHING_PRIVATE, format_options: kept },
    dropped: [
      ...(Object.keys(headers).length > 0 ? ['headers'] : []),
      ...(auth ? ['auth'] : []),
      ...(tls ? ['tls'] : []),
      ...dropped.map((name) => `format_options.${name}`),
    ],
  }
}

/** A webhook as the API shows it: secrets are masked, and so is the URL. */
export function toView<T extends Webhook>(webhook: T): Omit<T, keyof PrivateFields> & WebhookView {
  const { url, format_options: options } = webhook
  return { ...webhook, ...maskCredentials(webhook), url: maskUrl(url), format_options: hideSecrets(options) }
}

interface CheckOptions {
  /** Whether they or the URL have changed: a certificate that has expired since must not block other changes. */
  credentials: boolean
  /** Whether they have changed: one that was stored before a bound on its cost must not block them either. */
  filters: boolean
  now: Date
  /** Other errors, named in the same answer. */
  others?: FieldError[]
}

/**
 * Checks what the schema of a webhook cannot express.
 * @throws Refusal 'invalid_request' naming every wrong field
 */
export function checkWebhook(webhook: Webhook, { credentials, filters, now, others = [] }: CheckOptions): void {
  const { url, topics, filter, format, format_options: options } = webhook
  refuseFields([
    ...urlErrors(url),
    ...topicErrors(topics),
    ...filterErrors(filter, '/filter', filters),
    ...successErrors(webhook, filters),
    ...intervalErrors(webhook),
    ...checkFormat(format, options).map(under('/format_options')),
    ...issueErrors(webhook),
    ...(credentials ? checkCredentials({ ...webhook, now }) : []),
    ...others,
  ])
}

function under(field: string): (error: FieldError) => FieldError {
  return ({ path, detail }) => ({ path: field + path, detail })
}

/** With `on_update` of the format `jira` an attempt is several requests, relative to the one that creates an issue. */
function issueErrors({ url, format, format_options: options, order, success }: Webhook): FieldError[] {
  if (format !== 'jira' || !keepsIssues(options)) return []
  const errors: FieldError[] = []
  if (!isMaskedUrl(url) && !/^https?:\/\/[^?#]+\/rest\/api\/3\/issue$/.test(url)) {
    errors.push({ path: '/url', detail: 'must end in /rest/api/3/issue with format_options.on_update' })
  }
  if (order !== 'alert') {
    const why = 'two changes of an alert at once could make two issues'
    errors.push({ path: '/order', detail: `must be "alert" with format_options.on_update: ${why}` })
  }
  if (success !== null) errors.push({ path: '/success', detail: 'has no place beside format_options.on_update' })
  return errors
}

function successErrors({ url, success }: Webhook, isChanged: boolean): FieldError[] {
  if (success === null) return []
  if (isTopicUrl(url)) return [{ path: '/success', detail: "has no place at an SNS topic, whose answers are AWS's" }]
  return filterErrors(success.body ?? null, '/success/body', isChanged)
}

function intervalErrors(webhook: Webhook): FieldError[] {
  const problem = intervalProblem(webhook)
  return problem === undefined ? [] : [{ path: '/coalesce/every', detail: problem }]
}

/**
 * Compiles the filter of a request.
 * @throws Refusal 'invalid_request' with the JSON pointer of the error
 */
export function policyOf(filter: JsonObject): FilterPolicy {
  refuseFields(filterErrors(filter, '/filter'))
  return parseFilterPolicy(filter)
}

/**
 * Checks a webhook URL beyond its length: absolute, http or https, without credentials (they would be logged and listed)
 * and without a fragment (it is never sent to a server); or the ARN of a topic. Its address is checked at each connection.
 */
function urlErrors(text: string): FieldError[] {
  const problem = isTopicUrl(text) ? topicArnProblem(text) : webUrlProblem(text)
  return problem === undefined ? [] : [{ path: '/url', detail: problem }]
}

function topicArnProblem(text: string): string | undefined {
  return parseTopicArn(text)
    ? undefined
    : 'is no ARN of an SNS topic, such as arn:aws:sns:us-east-1:123456789012:changes'
}
