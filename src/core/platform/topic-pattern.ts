/** Topic ARNs, and patterns for them with `*` inside a part. Pure. */
import { Type } from 'typebox'
import { isTopicPattern, suffixOf, TOPIC_PATTERN } from './aws-partitions.js'
import type { FieldError } from './errors.js'
import { matchesGlob } from './glob.js'
import { patterned } from './schema.js'

/** The field `topics` of a request. @param description whose topics they are */
export const TopicPatterns = (description: string) =>
  Type.Array(
    Type.String({ maxLength: 400, ...patterned(TOPIC_PATTERN.source, 'a topic ARN, * allowed inside a part') }),
    {
      maxItems: 100,
      uniqueItems: true,
      description: `${description}, ARNs with \`*\` allowed inside a part; empty: all.`,
    },
  )

/** The parts of an SNS topic ARN: `arn:partition:sns:region:account:name`. */
export interface TopicArn {
  partition: string
  region: string
  account: string
  name: string
}

/**
 * AWS (SNS, CreateTopic): a name has 1 to 256 letters, digits, hyphens and underscores; the `.fifo` of a FIFO topic is
 * included.
 */
const TOPIC_ARN = /^arn:(aws[a-z-]{0,20}):sns:([a-z0-9-]{1,30}):(\d{12}):([\w-]{1,256}|[\w-]{1,251}\.fifo)$/

/** The parts of a topic ARN; undefined when the text is not one of a partition and region of AWS. */
export function parseTopicArn(text: string): TopicArn | undefined {
  const match = TOPIC_ARN.exec(text)
  if (!match) return undefined
  const [, partition, region, account, name] = match as unknown as [string, string, string, string, string]
  return suffixOf(partition, region) === undefined ? undefined : { partition, region, account, name }
}

/**
 * True when one of the patterns matches the whole ARN. A `*` matches any characters inside one part, colons excluded.
 * The time is bounded by the product of the lengths, also for patterns with many `*`.
 */
export function matchesTopic(patterns: readonly string[], arn: string): boolean {
  const parts = arn.split(':')
  return patterns.some((pattern) => {
    const wanted = pattern.split(':')
    return wanted.length === parts.length && wanted.every((part, i) => matchesGlob(part, parts[i]!))
  })
}

/** A regular expression of PostgreSQL that matches what a pattern matches. */
export function topicRegex(pattern: string): string {
  return `^${pattern.replace(/[^\w*:-]/g, '\\$&').replace(/\*+/g, '[^:]*')}$`
}

/** What is wrong with a request's `topics`: a pattern that can match no topic would silently keep everything away. */
export function topicErrors(topics: readonly string[]): FieldError[] {
  return topics.flatMap((pattern, index) =>
    isTopicPattern(pattern)
      ? []
      : [{ path: `/topics/${index}`, detail: 'is of no partition and region of AWS, such as aws and us-east-1' }],
  )
}
