/**
 * AWS's partitions: the DNS suffix of their endpoints and the shape of their regions (AWS, "AWS service endpoints"; botocore's
 * partitions). Pure.
 *
 * Guarantee: a host `sns.<region>.<suffix>` of a region of this shape is AWS's. Without the shape it may be anybody's:
 * `sns.s3.amazonaws.com` and `sns.s3-us-west-2.amazonaws.com` are buckets of S3.
 */
interface Partition {
  suffix: string
  region: RegExp
}

const PARTITIONS: ReadonlyMap<string, Partition> = new Map([
  ['aws', { suffix: 'amazonaws.com', region: /^(?!cn-)[a-z]{2}-[a-z]+-\d{1,2}$/ }],
  ['aws-us-gov', { suffix: 'amazonaws.com', region: /^us-gov-[a-z]+-\d{1,2}$/ }],
  ['aws-cn', { suffix: 'amazonaws.com.cn', region: /^cn-[a-z]+-\d{1,2}$/ }],
  ['aws-iso', { suffix: 'c2s.ic.gov', region: /^us-iso-[a-z]+-\d{1,2}$/ }],
  ['aws-iso-b', { suffix: 'sc2s.sgov.gov', region: /^us-isob-[a-z]+-\d{1,2}$/ }],
  ['aws-iso-e', { suffix: 'cloud.adc-e.uk', region: /^eu-isoe-[a-z]+-\d{1,2}$/ }],
  ['aws-iso-f', { suffix: 'csp.hci.ic.gov', region: /^us-isof-[a-z]+-\d{1,2}$/ }],
  ['aws-eusc', { suffix: 'amazonaws.eu', region: /^eusc-[a-z]{2}-[a-z]+-\d{1,2}$/ }],
])

/** The DNS suffix of a region's endpoints; undefined when the partition has no region of this shape. */
export function suffixOf(partition: string, region: string): string | undefined {
  const known = PARTITIONS.get(partition)
  return known?.region.test(region) ? known.suffix : undefined
}

/** A topic ARN, `*` allowed inside a part. */
export const TOPIC_PATTERN = /^arn:[\w*-]+:sns:[\w*-]+:[\d*]+:[\w*.-]+$/

/** False for a pattern that can match no topic, since AWS has no such partition or region. */
export function isTopicPattern(text: string): boolean {
  if (!TOPIC_PATTERN.test(text)) return false
  const [, partition, , region] = text.split(':') as [string, string, string, string]
  if (partition.includes('*')) return true
  return region.includes('*') ? PARTITIONS.has(partition) : suffixOf(partition, region) !== undefined
}
