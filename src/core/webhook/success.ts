/**
 * The condition on the body of a 2xx answer, for receivers that report a failure inside a 200. Pure.
 *
 * Guarantee: an answer that fails the condition is explained in one line of bounded length.
 */
import { Type } from 'typebox'
import { explainMismatch } from '../filter/explain.js'
import { parseFilterPolicy, type FilterPolicy } from '../filter/policy.js'
import type { FormatName } from '../format/format-names.js'
import { parseJson, type Json, type JsonObject } from '../platform/json.js'

/** What the body of a 2xx answer must fulfil: all that is given. */
export interface Success {
  /** A filter policy over the answer, which must be JSON. */
  body?: JsonObject
  /** Texts that the answer must not have in it, compared without case. */
  body_excludes?: string[]
}

export const Success = Type.Unsafe<Success | null>({
  type: ['object', 'null'],
  additionalProperties: false,
  minProperties: 1,
  properties: {
    body: {
      type: 'object',
      additionalProperties: true,
      minProperties: 1,
      description: 'A filter policy that the answer must match. An answer that is no JSON object fails it.',
    },
    body_excludes: {
      type: 'array',
      minItems: 1,
      maxItems: 20,
      items: { type: 'string', minLength: 1, maxLength: 200 },
      description: 'Texts that the answer must not have in it, compared without case.',
    },
  },
  description:
    'What the first 64 KiB of the body of a 2xx answer must fulfil, for receivers that report failures in a 200; an answer ' +
    'that fails it is `rejected`. Null: every 2xx is a success, except that with the format `teams` the answer must not ' +
    'have the errors of a Teams connector in it.',
  examples: [{ body: { errcode: [0] } }],
})

/** A condition, compiled. */
export interface SuccessCondition {
  policy: FilterPolicy | undefined
  excluded: readonly string[]
}

/**
 * The errors that a connector of Teams reports in a 200, such as "Webhook message delivery failed with error: Microsoft
 * Teams endpoint returned HTTP error 429 with ContextId ...".
 * https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using ("Rate limiting
 * for connectors"); https://github.com/MicrosoftDocs/msteams-docs/issues/1810
 */
const DEFAULTS: { [F in FormatName]?: Success } = {
  teams: {
    body_excludes: ['Microsoft Teams endpoint returned HTTP error', 'Webhook message delivery failed with error'],
  },
}

/**
 * @param webhook.success as stored: its policy is valid
 * @returns undefined when every 2xx is a success
 */
export function successConditionOf(webhook: {
  success: Success | null
  format: FormatName
}): SuccessCondition | undefined {
  const success = webhook.success ?? DEFAULTS[webhook.format]
  if (success === undefined) return undefined
  const { body, body_excludes: excluded = [] } = success
  return { policy: body && parseFilterPolicy(body), excluded }
}

/** @returns why the body of an answer fails the condition, with the first reason alone; undefined when it fulfils it */
export function explainFailure(body: string, { policy, excluded }: SuccessCondition): string | undefined {
  const text = body.toLowerCase()
  const found = excluded.find((excludedText) => text.includes(excludedText.toLowerCase()))
  if (found !== undefined) return `the answer has ${JSON.stringify(found)} in it, against success.body_excludes`
  if (policy === undefined) return undefined
  const json = jsonOf(body)
  if (json === undefined) return 'the answer is no JSON, as success.body needs'
  const [mismatch] = explainMismatch(policy, json)
  return mismatch && `the answer fails success.body: ${oneLine([mismatch.path, mismatch.reason].join(' ').trim())}`
}

/** A byte order mark is ignored, as RFC 8259 section 8.1 allows. */
function jsonOf(body: string): Json | undefined {
  try {
    return parseJson(body.replace(/^\ufeff/, ''))
  } catch {
    return undefined
  }
}

/** Keys of a policy may have line breaks. */
function oneLine(text: string): string {
  return text.replace(/\p{Cc}+/gu, ' ')
}
