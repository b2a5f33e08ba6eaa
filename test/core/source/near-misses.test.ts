/** Messages that look like findings and are none: they stay notifications, and nothing is said about them. */
import t from 'tap'
import type { Json, JsonObject } from '../../../src/core/platform/json.js'
import { fixture, shown } from './shown.js'

const envelope = (
  source: string,
  type: string,
  detail: JsonObject = { id: 'x', severity: 'HIGH', status: 'ACTIVE' },
) => ({
  version: '0',
  id: '00000000-0000-4000-8000-000000000000',
  source,
  'detail-type': type,
  account: '111122223333',
  region: 'eu-west-1',
  resources: [],
  detail,
})

const NEAR: Record<string, Json> = {
  "an insight's counts": envelope('aws.securityhub', 'Security Hub Insight Results'),
  "Inspector's scan": envelope('aws.inspector2', 'Inspector2 Scan', { 'finding-severity-counts': { CRITICAL: 3 } }),
  "Inspector's coverage": envelope('aws.inspector2', 'Inspector2 Coverage'),
  'Inspector Classic': { template: 'arn:aws:inspector:eu-west-1:1:target/0-x/template/0-y', event: 'FINDING_REPORTED' },
  'an access preview': envelope('aws.access-analyzer', 'Access Preview State Change'),
  'a configuration item': { messageType: 'ConfigurationItemChangeNotification', configurationItem: { awsRegion: 'x' } },
  'a snapshot': { messageType: 'ConfigurationSnapshotDeliveryCompleted', s3ObjectKey: 'x' },
  'an evaluation that started': envelope('aws.config', 'Config Rules Compliance Change', {
    messageType: 'ConfigRulesEvaluationStarted',
  }),
  "the event of a rule's function": { invokingEvent: '{"messageType":"x"}', ruleParameters: '{}', configRuleArn: 'x' },
  'classic Macie': envelope('aws.macie', 'Macie Alert'),
  'an API call': envelope('aws.iam', 'AWS API Call via CloudTrail', { eventName: 'CreateUser' }),
  'a check of Trusted Advisor': envelope('aws.trustedadvisor', 'Trusted Advisor Check Item Refresh Notification'),
  "an envelope of somebody's own": envelope('my.app', 'GuardDuty Finding'),
  'an OCSF activity': {
    class_uid: 6003,
    category_uid: 6,
    severity_id: 1,
    finding_info: { uid: 'x' },
    metadata: { product: {} },
  },
  'an OCSF class of another category': { class_uid: 2002, category_uid: 3, finding_info: { uid: 'x' } },
  'an OCSF finding without a name': { class_uid: 2002, category_uid: 2, severity_id: 5 },
  'a bounce': { notificationType: 'Bounce', bounce: { bounceType: 'Permanent' }, mail: { status: 'x' } },
  'an object of S3': { Records: [{ eventSource: 'aws:s3', eventName: 'ObjectCreated:Put' }] },
  'a task of DMS': { 'Event Source': 'replication-task', 'Event Message': 'failed', severity: 'ERROR' },
  'a step of an Auto Scaling group': { Event: 'autoscaling:EC2_INSTANCE_TERMINATE', StatusCode: 'Failed' },
  'a backup job': envelope('aws.backup', 'Backup Job State Change', { state: 'FAILED' }),
  'a cost anomaly': { anomalyId: 'x', monitorArn: 'arn:aws:ce::1:anomalymonitor/x', impact: { totalImpact: 5 } },
  'an issue of Wiz': { issue: { id: 'x', severity: 'CRITICAL', status: 'OPEN' }, control: { name: 'x' } },
  'a status and alerts that are none': { status: 'firing', alerts: ['x'] },
  'a status of something else': { status: 'active', alerts: [{ labels: {}, fingerprint: 'x' }] },
  'a rule with an unknown priority': { rule: 'x', priority: 'P1', output: 'x', output_fields: {} },
  'a JSON text in a text': '{"source":"aws.guardduty","detail-type":"GuardDuty Finding","detail":{"id":"x"}}',
  nothing: null,
  'a number': 12,
  'an empty object': {},
  'an empty list': [],
  'a list of others': [{ policyName: 'x', alertStatus: 'open' }],
}

for (const [name, message] of Object.entries(NEAR)) {
  t.test(`${name} stays a notification`, async (t) => t.equal(shown(message), null))
}

t.test('a source and a detail-type that are no texts are no envelope', async (t) => {
  const message = await fixture('guardduty-new')
  const changes: JsonObject[] = [{ source: null }, { source: ['aws.guardduty'] }, { 'detail-type': 1 }, { detail: 'x' }]
  for (const change of changes) {
    t.equal(shown({ ...message, ...change }), null)
  }
})

t.test("a message of Matano's is not for these sources", async (t) => {
  t.equal(shown({ updated_alert: { id: 'x', severity: 'high' }, incoming_rule_matches_context: {} }), null)
})
