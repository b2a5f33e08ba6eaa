/**
 * GuardDuty Malware Protection for S3: the result of one object's scan.
 * https://docs.aws.amazon.com/guardduty/latest/ug/monitor-with-eventbridge-s3-malware-protection.html
 *
 * There is one message for each object that is scanned: only one with a threat is a finding.
 */
import type { JsonObject } from '../platform/json.js'
import { ContextBuilder } from './context-builder.js'
import { addFields, fieldMap } from './field-map.js'
import { textAt } from './fields.js'
import { addCloud, findingOf } from './finding.js'
import { identityOf } from './identity.js'
import type { Finding, Reading, Source, Unread } from './source.js'

const FIELDS = fieldMap({
  's3ObjectDetails.bucketName': 'aws.s3.bucket.name',
  's3ObjectDetails.objectKey': 'file.path',
  'scanResultDetails.threats.name': 'threat.software.name',
})

export const guardDutyScan: Source = {
  name: 'guardduty-s3-scan',
  detailTypes: { 'aws.guardduty': ['GuardDuty Malware Protection Object Scan Result'] },
  isBare: () => false,
  read: (scan, reading) =>
    textAt(scan, 'scanResultDetails', 'scanResultStatus') === 'THREATS_FOUND' ? [readScan(scan, reading)] : undefined,
}

function readScan(scan: JsonObject, { envelope, defaultSeverity }: Reading): Finding | Unread {
  const { account, region } = envelope ?? {}
  const bucket = textAt(scan, 's3ObjectDetails', 'bucketName')
  const key = textAt(scan, 's3ObjectDetails', 'objectKey')
  const version = textAt(scan, 's3ObjectDetails', 'versionId') ?? 'null'
  const context = new ContextBuilder()
  addCloud(context, account, region)
  context.add('event.provider', 'guardduty')
  addFields(context, FIELDS, scan)
  return findingOf(
    {
      source: 'guardduty-s3-scan',
      alertId: identityOf('guardduty-s3-scan', account, region, bucket, key, version),
      titles: [`Malware in s3://${bucket}/${key}`],
      severity: defaultSeverity('guardduty-s3-scan', 'high'),
      state: 'active',
      context,
      account,
      region,
    },
    's3ObjectDetails with bucketName and objectKey',
  )
}
