/** An alert change as Matano publishes it: the example in the OpenAPI document and the payload of a test delivery. */
import type { JsonObject } from '../platform/json.js'

const incoming = {
  cloud: { account: { id: ['2929922929292'] }, region: ['us-west-2'] },
  event: { action: ['RunInstances'], outcome: ['failure'], provider: ['ec2.amazonaws.com'], type: ['info'] },
  matano: { table: ['aws_cloudtrail'] },
  related: { user: ['John Doe'] },
  source: { address: ['5.205.62.253'], ip: ['5.205.62.253'] },
  user: { id: ['AIDA929292929292'], name: ['John Doe'] },
}

/** Edited by hand, so `context_diff` is not the exact difference of the contexts. */
export const SAMPLE_CHANGE = {
  updated_alert: {
    id: '61d3ac78-cedd-434e-b407-ae0b330e1d4a',
    creation_time: '2023-03-15T06:21:13.687059Z',
    title: 'AWS Root Credentials Change',
    severity: 'medium',
    severity_icon_url:
      'https://gist.githubusercontent.com/shaeqahmed/6c38fc5f0c3adb7e1a3fe6c5f78bbc4f/raw/9a12ff8d23592b31f224f9e27503e77b843b075c/apple-sev-medium-icon.png',
    runbook: 'Check the AWS root account activity',
    false_positives: [],
    destinations: ['slack_my_team', 'jira_main'],
    context: {
      ...incoming,
      cloud: { account: { id: ['2029292292992'] }, region: ['us-west-2'] },
      related: { user: ['backup', 'John Doe'] },
      user: { id: ['AIDA929292929292'], name: ['backup'] },
    },
    tables: ['aws_cloudtrail'],
    match_count: 2,
    update_count: 1,
    destination_to_alert_info: { slack_my_team: '{"ts":"1678861298.161909"}' },
  },
  incoming_rule_matches_context: incoming,
  context_diff: { user: { name: ['John Doe'] }, related: { user: ['John Doe'] } },
} satisfies JsonObject
