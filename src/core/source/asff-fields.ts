/** Where the fields of an ASFF finding go in ECS. Pure. */
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import type { ContextBuilder } from './context-builder.js'
import { addFields, fieldMap } from './field-map.js'
import { numberAt, objectsAt, textAt } from './fields.js'

const endpointOf = (side: 'Source' | 'Destination', name: string) => ({
  [`Network.${side}IpV4`]: `${name}.ip`,
  [`Network.${side}IpV6`]: `${name}.ip`,
  [`Network.${side}Domain`]: `${name}.domain`,
  [`Network.${side}Port`]: `${name}.port`,
  [`Network.${side}Mac`]: `${name}.mac`,
})

const FIELDS = fieldMap({
  AwsAccountName: 'cloud.account.name',
  'Resources.Id': 'resource.id',
  'Resources.Type': 'resource.type',
  'Resources.Details.AwsEc2Instance.IpV4Addresses': 'host.ip',
  'Resources.Details.AwsEc2Instance.IpV6Addresses': 'host.ip',
  // details that are not under their type, as some products write them
  'Resources.Details.IpV4Addresses': 'host.ip',
  'Resources.Details.IpV6Addresses': 'host.ip',
  'Resources.Details.AwsEc2Instance.Type': 'cloud.machine.type',
  'Resources.Details.AwsIamAccessKey.PrincipalName': 'user.name',
  'Resources.Details.AwsIamAccessKey.UserName': 'user.name',
  'Resources.Details.AwsIamAccessKey.PrincipalId': 'user.id',
  'Resources.Details.AwsIamAccessKey.AccessKeyId': 'aws.access_key_id',
  'Resources.Details.AwsIamUser.UserName': 'user.name',
  'Resources.Details.AwsIamUser.UserId': 'user.id',
  'Resources.Details.Container.Name': 'container.name',
  'Resources.Details.Container.ImageId': 'container.id',
  'Resources.Details.Container.ImageName': 'container.image.name',
  'Resources.Details.AwsEcrContainerImage.RepositoryName': 'container.image.name',
  'Resources.Details.AwsEcrContainerImage.ImageTags': 'container.image.tag',
  'Resources.Details.AwsEcrContainerImage.ImageDigest': 'container.image.hash.all',
  'Resources.Details.AwsLambdaFunction.FunctionName': 'faas.name',
  'Resources.Details.AwsEksCluster.Name': 'orchestrator.cluster.name',
  'Resources.Details.AwsS3Bucket.Name': 'aws.s3.bucket.name',
  ...endpointOf('Source', 'source'),
  ...endpointOf('Destination', 'destination'),
  'Network.Protocol': 'network.transport',
  'Process.Name': 'process.name',
  'Process.Path': 'process.executable',
  'Process.Pid': 'process.pid',
  'Process.ParentPid': 'process.parent.pid',
  'Malware.Name': 'threat.software.name',
  'Malware.Path': 'file.path',
  'Threats.Name': 'threat.software.name',
  'Threats.FilePaths.FilePath': 'file.path',
  'Threats.FilePaths.FileName': 'file.name',
  'Threats.FilePaths.Hash': 'file.hash.*',
  'ThreatIntelIndicators.Source': 'threat.feed.name',
  'Vulnerabilities.Id': 'vulnerability.id',
  'Vulnerabilities.ReferenceUrls': 'vulnerability.reference',
  'Vulnerabilities.VulnerablePackages.Name': 'package.name',
  'Vulnerabilities.VulnerablePackages.Version': 'package.version',
  'Vulnerabilities.VulnerablePackages.FixedInVersion': 'package.fixed_version',
  'Vulnerabilities.VulnerablePackages.FilePath': 'package.path',
  'Vulnerabilities.VulnerablePackages.Architecture': 'package.architecture',
  'Compliance.RelatedRequirements': 'rule.reference',
  Types: 'rule.category',
})

/** ASFF, "ThreatIntelIndicators.Type". */
const INDICATORS = new Map([
  ['IPV4_ADDRESS', 'threat.indicator.ip'],
  ['IPV6_ADDRESS', 'threat.indicator.ip'],
  ['DOMAIN', 'threat.indicator.domain'],
  ['URL', 'threat.indicator.url.full'],
  ['EMAIL_ADDRESS', 'threat.indicator.email.address'],
  ['HASH_MD5', 'threat.indicator.file.hash.md5'],
  ['HASH_SHA1', 'threat.indicator.file.hash.sha1'],
  ['HASH_SHA256', 'threat.indicator.file.hash.sha256'],
  ['HASH_SHA512', 'threat.indicator.file.hash.sha512'],
])
const DIRECTIONS = new Map([
  ['IN', 'ingress'],
  ['OUT', 'egress'],
])

export function addAsffFields(context: ContextBuilder, finding: JsonObject): void {
  addFields(context, FIELDS, finding)
  context.add('network.direction', DIRECTIONS.get(textAt(finding, 'Network', 'Direction') ?? ''))
  for (const resource of objectsAt(finding, 'Resources')) addResourceId(context, textAt(resource, 'Id'))
  for (const indicator of objectsAt(finding, 'ThreatIntelIndicators')) {
    const name = INDICATORS.get(textAt(indicator, 'Type') ?? '')
    if (name !== undefined) context.add(name, indicator.Value)
  }
  for (const vulnerability of objectsAt(finding, 'Vulnerabilities')) {
    context.add('vulnerability.score.base', highest(objectsAt(vulnerability, 'Cvss').map(({ BaseScore }) => BaseScore)))
  }
}

/** What a resource's id says besides naming it: an instance's id, a bucket's name. */
export function addResourceId(context: ContextBuilder, id: string | undefined): void {
  const instance = /(?:^|:instance\/)(i-[0-9a-f]{8,17})$/.exec(id ?? '')?.[1]
  context.add('cloud.instance.id', instance).add('host.id', instance)
  context.add('aws.s3.bucket.name', /^arn:aws[\w-]*:s3:::([^/]+)$/.exec(id ?? '')?.[1])
}

/** The highest of these numbers. */
export function highest(scores: readonly (Json | undefined)[]): number | undefined {
  const numbers = scores.map((score) => numberAt(score)).filter((score) => score !== undefined)
  return numbers.length === 0 ? undefined : numbers.reduce((a, b) => Math.max(a, b))
}

const GUARDDUTY_PREFIX = 'aws/guardduty/service/'
const MAX_PRODUCT_FIELDS = 500
const MAX_PARTS = 12

/**
 * GuardDuty's `service` as Security Hub flattens it into ProductFields: `aws/guardduty/service/action/.../port`. An
 * element of a list is `portProbeDetails.0_`.
 */
export function guardDutyService(fields: JsonObject | undefined): JsonObject | undefined {
  const keys = Object.keys(fields ?? {}).filter((key) => key.startsWith(GUARDDUTY_PREFIX))
  if (keys.length === 0) return undefined
  const service = new Map<string, Nested>()
  for (const key of keys.slice(0, MAX_PRODUCT_FIELDS)) {
    setAt(service, key.slice(GUARDDUTY_PREFIX.length).split('/').slice(0, MAX_PARTS), fields![key]!)
  }
  return unnested(service)
}

type Nested = Json | Map<string, Nested>

function setAt(map: Map<string, Nested>, parts: string[], value: Json): void {
  let at = map
  for (const part of parts.slice(0, -1)) {
    let next = at.get(part)
    if (!(next instanceof Map)) at.set(part, (next = new Map<string, Nested>()))
    at = next
  }
  at.set(parts.at(-1)!, value)
}

function unnested(map: Map<string, Nested>): JsonObject {
  const lists = new Map<string, Json[]>()
  const members = [...map].map(([key, value]): [string, Json] => [key, value instanceof Map ? unnested(value) : value])
  const object = Object.fromEntries(members.filter(([key]) => !/\.\d{1,4}_$/.test(key)))
  for (const [key, value] of members) {
    const name = /^(.+)\.\d{1,4}_$/.exec(key)?.[1]
    if (name !== undefined) lists.set(name, [...(lists.get(name) ?? []), value])
  }
  return { ...object, ...Object.fromEntries(lists) }
}

/** ASFF's `Action` with the spelling of GuardDuty's: `NetworkConnectionAction` is `networkConnectionAction`. */
export function camelCased(value: Json, depth = 6): Json {
  if (Array.isArray(value)) return depth === 0 ? null : value.map((entry) => camelCased(entry, depth - 1))
  if (!isJsonObject(value)) return value
  if (depth === 0) return null
  return Object.fromEntries(
    Object.entries(value).map(([key, child]) => [
      key.charAt(0).toLowerCase() + key.slice(1),
      camelCased(child, depth - 1),
    ]),
  )
}
