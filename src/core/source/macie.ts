/**
 * Amazon Macie's findings: of policies, which are updated, and of sensitive data, which are not.
 * https://docs.aws.amazon.com/macie/latest/user/findings-publish-event-schemas.html
 */
import { isJsonObject, type Json, type JsonObject } from '../platform/json.js'
import { ContextBuilder } from './context-builder.js'
import { addFields, fieldMap } from './field-map.js'
import { countAt, firstText, flagAt, objectAt, textAt, valueAt } from './fields.js'
import { addCloud, findingOf } from './finding.js'
import { identityOf } from './identity.js'
import { consoleLink } from './link.js'
import { severityOfWord } from './severity.js'
import type { Finding, Reading, Source, Unread } from './source.js'
import { timeOf } from './time.js'

const FIELDS = fieldMap({
  type: 'rule.name',
  'resourcesAffected.s3Bucket.name': 'aws.s3.bucket.name',
  'resourcesAffected.s3Bucket.arn': 'resource.id',
  'resourcesAffected.s3Object.path': 'file.path',
  'policyDetails.action.apiCallDetails.api': 'event.action',
  'policyDetails.action.apiCallDetails.apiServiceName': 'event.provider',
  'policyDetails.actor.ipAddressDetails.ipAddressV4': 'source.ip',
  'policyDetails.actor.ipAddressDetails.ipCountry.name': 'source.geo.country_name',
  'policyDetails.actor.ipAddressDetails.ipCity.name': 'source.geo.city_name',
  'policyDetails.actor.ipAddressDetails.ipOwner.asn': 'source.as.number',
  'policyDetails.actor.ipAddressDetails.ipOwner.asnOrg': 'source.as.organization.name',
  'policyDetails.actor.domainDetails.domainName': 'source.domain',
  'policyDetails.actor.userIdentity.iamUser.userName': 'user.name',
  'classificationDetails.result.sensitiveData.category': 'rule.category',
  'classificationDetails.result.customDataIdentifiers.detections.name': 'rule.category',
})
/** The identities that an actor may be, one of which is filled: `assumedRole`, `iamUser`, `root` ... */
const IDENTITY = fieldMap({
  arn: 'user.id',
  principalId: 'user.id',
  'sessionContext.sessionIssuer.userName': 'user.name',
})

export const macie: Source = {
  name: 'macie',
  detailTypes: { 'aws.macie': ['Macie Finding'] },
  isBare: (message) =>
    textAt(message, 'schemaVersion') !== undefined &&
    ['CLASSIFICATION', 'POLICY'].includes(textAt(message, 'category') ?? '') &&
    /^(SensitiveData|Policy):/.test(textAt(message, 'type') ?? '') &&
    objectAt(message, 'resourcesAffected') !== undefined &&
    textAt(message, 'severity', 'description') !== undefined,
  read: (finding, reading) => [readFinding(finding, reading)],
}

function readFinding(finding: JsonObject, { envelope, defaultSeverity }: Reading): Finding | Unread {
  const account = firstText(finding.accountId, envelope?.account)
  const region = firstText(finding.region, envelope?.region)
  const id = textAt(finding, 'id')
  const isArchived = flagAt(finding, 'archived')
  return findingOf(
    {
      source: 'macie',
      alertId: identityOf('macie', account, region, id),
      titles: [finding.title, finding.type],
      description: finding.description,
      severity: severityOfWord(valueAt(finding, 'severity', 'description')) ?? defaultSeverity('macie', 'notice'),
      state: isArchived ? 'resolved' : 'active',
      reason: isArchived ? 'archived' : undefined,
      context: contextOf(finding, account, region),
      url:
        id &&
        consoleLink(
          textAt(finding, 'partition'),
          region,
          'macie',
          `findings?macros=current&itemId=${encodeURIComponent(id.slice(0, 100).toWellFormed())}`,
        ),
      account,
      region,
      matchCount: countAt(finding, 'count'),
      firstSeen: timeOf(finding.createdAt),
      updatedAt: timeOf(finding.updatedAt),
      sample: flagAt(finding, 'sample'),
    },
    'accountId, region and id',
  )
}

function contextOf(finding: JsonObject, account: string | undefined, region: string | undefined): ContextBuilder {
  const context = new ContextBuilder()
  addCloud(context, account, region)
  context.add('event.provider', 'macie')
  addFields(context, FIELDS, finding)
  for (const identity of identitiesOf(valueAt(finding, 'policyDetails', 'actor', 'userIdentity'))) {
    addFields(context, IDENTITY, identity)
  }
  // a path is bucket and key; a key alone is what older findings have
  const object = objectAt(finding, 'resourcesAffected', 's3Object')
  if (textAt(object, 'path') === undefined) context.add('file.path', object?.key)
  return context
}

function identitiesOf(userIdentity: Json | undefined): JsonObject[] {
  return isJsonObject(userIdentity) ? Object.values(userIdentity).filter(isJsonObject).slice(0, 20) : []
}
