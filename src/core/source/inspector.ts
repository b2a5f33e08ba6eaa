/**
 * Amazon Inspector's findings, one for each resource and vulnerability:
 * https://docs.aws.amazon.com/inspector/latest/user/eventbridge-integration.html
 */
import { isJsonObject, type JsonObject } from '../platform/json.js'
import { addResourceId, highest } from './asff-fields.js'
import { ContextBuilder } from './context-builder.js'
import { addFields, fieldMap } from './field-map.js'
import { firstText, objectAt, objectsAt, textAt, valueAt } from './fields.js'
import { addCloud, findingOf } from './finding.js'
import { arnOf, identityOf } from './identity.js'
import { firstLink, webLink } from './link.js'
import { severityOfWord } from './severity.js'
import type { Finding, Reading, Source, Unread } from './source.js'
import { firstTime, timeOf } from './time.js'

const FIELDS = fieldMap({
  'packageVulnerabilityDetails.vulnerabilityId': 'vulnerability.id',
  'packageVulnerabilityDetails.referenceUrls': 'vulnerability.reference',
  'packageVulnerabilityDetails.vulnerablePackages.name': 'package.name',
  'packageVulnerabilityDetails.vulnerablePackages.version': 'package.version',
  'packageVulnerabilityDetails.vulnerablePackages.fixedInVersion': 'package.fixed_version',
  'packageVulnerabilityDetails.vulnerablePackages.filePath': 'package.path',
  'packageVulnerabilityDetails.vulnerablePackages.arch': 'package.architecture',
  'resources.id': 'resource.id',
  'resources.type': 'resource.type',
  'resources.details.awsEc2Instance.ipV4Addresses': 'host.ip',
  'resources.details.awsEc2Instance.ipV6Addresses': 'host.ip',
  'resources.details.awsEc2Instance.platform': 'host.os.platform',
  'resources.details.awsEc2Instance.type': 'cloud.machine.type',
  'resources.details.awsEcrContainerImage.repositoryName': 'container.image.name',
  'resources.details.awsEcrContainerImage.imageTags': 'container.image.tag',
  'resources.details.awsEcrContainerImage.imageHash': 'container.image.hash.all',
  'resources.details.awsLambdaFunction.functionName': 'faas.name',
  // what Inspector writes for every cloud, for AWS beside the above
  'resources.provider': 'cloud.provider',
  'resources.providerAccountId': 'cloud.account.id',
  'resources.details.vm.vmName': 'host.name',
  'resources.details.vm.ipV4Addresses': 'host.ip',
  'resources.details.vm.ipV6Addresses': 'host.ip',
  'resources.details.vm.platform': 'host.os.platform',
  'resources.details.vm.type': 'cloud.machine.type',
  'resources.details.image.repositoryName': 'container.image.name',
  'resources.details.image.imageTags': 'container.image.tag',
  'resources.details.image.imageDigest': 'container.image.hash.all',
  'resources.details.serverlessFunction.serverlessFunctionName': 'faas.name',
  'networkReachabilityDetails.openPortRange.begin': 'destination.port',
  'networkReachabilityDetails.openPortRange.end': 'destination.port',
  'networkReachabilityDetails.protocol': 'network.transport',
  'codeVulnerabilityDetails.detectorId': 'rule.id',
  'codeVulnerabilityDetails.detectorName': 'rule.name',
  'codeVulnerabilityDetails.filePath.filePath': 'file.path',
  'codeVulnerabilityDetails.cwes': 'vulnerability.classification',
})
const CLOSED = new Set(['CLOSED', 'SUPPRESSED'])

export const inspector: Source = {
  name: 'inspector',
  detailTypes: { 'aws.inspector2': ['Inspector2 Finding'] },
  isBare: (message) =>
    /^arn:aws[\w-]*:inspector2:/.test(textAt(message, 'findingArn') ?? '') &&
    textAt(message, 'severity') !== undefined &&
    textAt(message, 'status') !== undefined &&
    textAt(message, 'type') !== undefined,
  read: (finding, reading) => [readFinding(finding, reading)],
}

function readFinding(finding: JsonObject, { envelope, defaultSeverity }: Reading): Finding | Unread {
  const arn = arnOf(finding.findingArn)
  const details = objectAt(finding, 'packageVulnerabilityDetails')
  const status = textAt(finding, 'status') ?? ''
  const account = firstText(finding.awsAccountId, arn?.account, envelope?.account)
  // the Region of a resource may be "N/A"
  const region = firstText(arn?.region, envelope?.region)
  return findingOf(
    {
      source: 'inspector',
      alertId: arn && identityOf(textAt(finding, 'findingArn')),
      titles: [finding.title, details?.vulnerabilityId, finding.type],
      description: finding.description,
      severity: severityOfWord(finding.severity) ?? defaultSeverity('inspector', 'notice'),
      state: CLOSED.has(status) ? 'resolved' : 'active',
      reason: CLOSED.has(status) ? status.toLowerCase() : undefined,
      context: contextOf(finding, account, region),
      url: firstLink(details?.sourceUrl, valueAt(finding, 'remediation', 'recommendation', 'Url')),
      account,
      region,
      firstSeen: timeOf(finding.firstObservedAt),
      updatedAt: firstTime(finding.updatedAt, finding.lastObservedAt),
    },
    'findingArn',
  )
}

function contextOf(finding: JsonObject, account: string | undefined, region: string | undefined): ContextBuilder {
  const context = new ContextBuilder()
  const isElsewhere = objectsAt(finding, 'resources').some(
    ({ provider }) => provider !== undefined && provider !== 'AWS',
  )
  if (isElsewhere) context.add('cloud.region', region)
  else addCloud(context, account, region)
  context.add('event.provider', 'inspector').add('rule.category', finding.type)
  addFields(context, FIELDS, finding)
  for (const resource of objectsAt(finding, 'resources')) addResourceId(context, textAt(resource, 'id'))
  const details = objectAt(finding, 'packageVulnerabilityDetails')
  const scores = objectsAt(details, 'cvss').map(({ baseScore }) => baseScore)
  context.add(
    'vulnerability.score.base',
    highest(scores) ?? (isJsonObject(details) ? finding.inspectorScore : undefined),
  )
  context.add('event.reference', webLink(valueAt(finding, 'remediation', 'recommendation', 'Url')))
  return context
}
