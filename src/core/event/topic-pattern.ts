/** Topic ARNs, and patterns of them with `*` inside a part. Pure. */
import { matchesGlob } from '../platform/glob.js'

/** The parts of an SNS topic ARN: `arn:partition:sns:region:account:name`. */
export interface TopicArn {
  partition: string
  region: string
  account: string
  name: string
}

/** AWS (SNS, CreateTopic): names have 1 to 256 letters, digits, hyphens and underscores; a FIFO topic's end in `.fifo`, counted too. */
const TOPIC_ARN = /^arn:(aws[a-z-]{0,20}):sns:([a-z0-9-]{1,30}):(\d{12}):([\w-]{1,256}|[\w-]{1,251}\.fifo)$/

/** The parts of a topic ARN; undefined when the text is none. */
export function parseTopicArn(text: string): TopicArn | undefined {
  const match = TOPIC_ARN.exec(text)
  if (!match) return undefined
  const [, partition, region, account, name] = match as unknown as string[]
  return { partition: partition!, region: region!, account: account!, name: name! }
}

/**
 * True when one of the patterns matches the whole ARN. A `*` stands for any characters inside one part, colons excluded.
 * Patterns come from operators and may hold many stars: the time is bounded by the product of the lengths.
 */
export function matchesTopic(patterns: readonly string[], arn: string): boolean {
  const parts = arn.split(':')
  return patterns.some((pattern) => {
    const wanted = pattern.split(':')
    return wanted.length === parts.length && wanted.every((part, i) => matchesGlob(part, parts[i]!))
  })
}
