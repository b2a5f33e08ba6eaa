/**
 * What LocalStack recorded of AWS, as policies with the bodies that match and those that do not. Each row names the test in
 * localstack/localstack (at 8b9a79f) that it is the fact of: tests/aws/services/sns/test_sns_filter_policy.py against SNS, and
 * the templates in tests/aws/services/events/event_pattern_templates against EventBridge. Policies and bodies are our own.
 */
import type { Json } from '../../../src/core/platform/json.js'
import type { AwsCase } from './aws-case.js'

/** Conditions on one field, with its values; undefined leaves the field out. */
function field(source: string, conditions: Json[], yes: (Json | undefined)[], no: (Json | undefined)[]): AwsCase {
  const bodyOf = (value: Json | undefined): Json => ({ detail: value === undefined ? {} : { state: value } })
  return { source, policy: { detail: { state: conditions } }, matching: yes.map(bodyOf), failing: no.map(bodyOf) }
}

const SNS: AwsCase[] = [
  {
    source: 'sns: test_filter_policy_on_message_body',
    policy: { object: { key: [{ prefix: 'auto-' }, 'fixed'], inner: [{ exists: false }] }, test: [{ exists: false }] },
    matching: [{ object: { key: 'auto-test' } }, { object: { key: 'fixed' } }],
    failing: [
      { object: { key: 'test-auto' } },
      { object: { key: 'auto-test' }, test: 'x' },
      { object: { key: 'auto-test', inner: 'x' } },
      { object: { test: 'auto-test' } },
      { test: 'auto-test' },
      'a text',
    ],
  },
  {
    source: 'sns: test_filter_policy_on_message_body_dot_attribute',
    policy: { 'source.ip': ['10.0.0.1'] },
    matching: [{ source: { ip: '10.0.0.1' } }, { 'source.ip': '10.0.0.1' }],
    failing: [{ source: { ip: '10.0.0.2' } }],
  },
  {
    source: 'sns: test_filter_policy_on_message_body_dot_attribute, deeper',
    policy: { 'source.geo.city': ['Ghent'] },
    matching: [
      { source: { geo: { city: 'Ghent' } } },
      { 'source.geo.city': 'Ghent' },
      { 'source.geo': { city: 'Ghent' } },
      { source: { 'geo.city': 'Ghent' } },
    ],
    failing: [{ source: { geo: { city: 'Bruges' } } }],
  },
  {
    source: 'sns: test_filter_policy_large_complex_payload',
    policy: { detail: { 'a.b.c-d.e': { list: [{ prefix: 'q-' }] } } },
    matching: [{ detail: { a: { b: { 'c-d': { e: { list: ['p', 'q-1'] } } } } } }],
  },
  {
    source: 'sns: test_filter_policy_on_message_body_array_attributes',
    policy: { headers: { to: ['one'] } },
    matching: [{ headers: { to: ['one'] } }, { headers: { to: ['one', 'two'] } }],
    failing: [{ headers: { to: ['two'] } }, { headers: { to: ['three'] } }],
  },
  {
    source: 'sns: test_filter_policy_on_message_body_array_of_object_attributes',
    policy: { Records: { s3: { object: { key: [{ prefix: 'auto-' }] } }, eventName: [{ prefix: 'Created:' }] } },
    matching: [
      { Records: [{ eventName: 'Created:Put', s3: { object: { key: 'auto-1' } } }] },
      {
        Records: [
          { eventName: 'Created:Put', s3: { object: [[{ key: 'auto-1' }]] } },
          { eventName: 'Removed:Delete', s3: { object: { key: 'home-1' } } },
        ],
      },
    ],
    failing: [
      { Records: [{ eventName: 'Removed:Delete', s3: { object: { key: 'auto-1' } } }] },
      { Records: [{ eventName: 'Created:Put', s3: { object: { key: 'home-1' } } }] },
    ],
  },
  {
    source: 'sns: test_filter_policy_on_message_body_or_attribute',
    policy: {
      $or: [{ metric: ['cpu', 'latency'] }, { namespace: ['ec2', 'es'] }],
      detail: { scope: ['service'], $or: [{ source: ['cw'] }, { type: ['alarm'] }] },
    },
    matching: [
      { metric: 'latency', detail: { scope: 'service', source: 'cw' } },
      { namespace: 'es', detail: { scope: 'service', source: 'cw' } },
      { metric: 'cpu', detail: { scope: 'service', type: 'alarm' } },
    ],
    failing: [
      { metric: 'cpu', detail: { scope: 'cw', type: 'alarm' } },
      { metric: 'cpu', detail: { scope: 'service', type: 'cpu' } },
      { metric: 'cpu', detail: { type: 'alarm' } },
      { metric: 'cpu', detail: { scope: 'service' } },
      { metric: 'cpu', scope: 'service' },
      { metric: 'ec2', detail: { scope: 'service', type: 'alarm' } },
      { namespace: 'cpu', detail: { scope: 'service', type: 'alarm' } },
    ],
  },
  {
    source: 'sns: test_filter_policy_empty_array_payload',
    policy: { detail: { version: [''] } },
    matching: [{ resources: [], detail: { version: '', response: null } }],
  },
  {
    source: 'sns: test_filter_policy_ip_address_condition',
    policy: { detail: { $or: [{ ip: [{ cidr: '10.0.0.0/24' }] }, { ip6: [{ cidr: '2001:db8:1234:1a00::/64' }] }] } },
    matching: [{ detail: { ip: '10.0.0.255' } }, { detail: { ip6: '2001:0db8:1234:1a00:0000:0000:0000:0000' } }],
    failing: [{ detail: { ip: '10.0.0.256' } }, { detail: { ip6: '2001:0db8:123f:1a01:0000:0000:0000:0000' } }],
  },
  field('sns: test_filter_policy', [{ numeric: ['>', 0, '<=', 100] }], [99], [111]),
  field('sns: test_filter_policy, null', [null, { 'anything-but': 'whatever' }], [], [undefined]),
  field('sns: test_exists_filter_policy', [{ exists: true }], [99], [undefined]),
  field('sns: test_exists_filter_policy', [{ exists: false }], [undefined], [99]),
]

const EVENTBRIDGE: AwsCase[] = [
  field('arrays, arrays_empty_null', ['arn:1', 'arn:2', null], [['arn:0', 'arn:2']], [['arn:0'], []]),
  field('boolean', [false], [false], [true]),
  field('null_value', [null], [null], ['null']),
  field(
    'string, string_empty',
    ['🚀 and a trailing space ', ''],
    ['🚀 and a trailing space ', ''],
    ['🚀 and a trailing space'],
  ),
  field('number_comparison_float', [300], [300.0], ['300']),
  field('numeric-*', [{ numeric: ['>', 100] }], [101.0], [null, '300', 100]),
  field('content_numeric_and', [{ numeric: ['>', 0, '<=', 5] }, { numeric: ['=', 3.018e2] }], [3, 301.8], [42]),
  field('content_anything_but_string*', [{ 'anything-but': 'init' }], ['pending', null], ['init', undefined]),
  field('content_anything_but_string_list*', [{ 'anything-but': ['a', 'b'] }], ['c', null], ['a', undefined]),
  field('content_anything_but_number*', [{ 'anything-but': [0, 123] }], [789], [0, 123]),
  ...['init', ['post', 'init']].map((prefix) =>
    field('content_anything_prefix*', [{ 'anything-but': { prefix } }], ['un-init', 12, null], ['init-1', undefined]),
  ),
  ...['.txt', ['.jpg', '.txt']].map((suffix) =>
    field('content_anything_suffix*', [{ 'anything-but': { suffix } }], ['a.txt.bak', null], ['a.txt', undefined]),
  ),
  ...['Init', ['stopped', 'iNIT']].map((text) =>
    field(
      'content_anything_but_ignorecase*',
      [{ 'anything-but': { 'equals-ignore-case': text } }],
      ['pending', null],
      ['INIT', undefined],
    ),
  ),
  ...['*/init/*', ['*/x/*', '*/init/*']].map((wildcard) =>
    field(
      'content_anything_wildcard*',
      [{ 'anything-but': { wildcard } }],
      ['dir/x', 1, null],
      ['a/init/b', undefined],
    ),
  ),
  field('content_anything_wildcard_empty', [{ 'anything-but': { wildcard: '' } }], ['dir'], ['']),
  field('content_prefix, content_prefix_empty', [{ prefix: '2022-07-13' }], ['2022-07-13T13'], ['2022-07-14']),
  field('content_prefix_empty', [{ prefix: '' }, { suffix: '' }], ['any'], [1]),
  field('content_prefix_ignorecase', [{ prefix: { 'equals-ignore-case': 'EventB' } }], ['EvEnTbridge'], ['event']),
  field('content_suffix, content_suffix_ignorecase', [{ suffix: '.png' }], ['a.png'], ['a.PNG']),
  field('content_suffix_ignorecase', [{ suffix: { 'equals-ignore-case': '.png' } }], ['a.PNG'], ['a.jpg']),
  field('content_ignorecase', [{ 'equals-ignore-case': 'ec2 state' }], [['EC2 State']], [['EC2']]),
  field('content_ignorecase_empty', [{ 'equals-ignore-case': '' }], [''], ['x']),
  field(
    'content_wildcard_nonrepeating',
    [{ wildcard: '/Users/*/doc.txt' }],
    ['/Users/a/dir/doc.txt'],
    ['/Users/a/xdoc.txt'],
  ),
  field('content_wildcard_repeating', [{ wildcard: '/U/*/dir/dir/doc' }], ['/U/a/dir/dir/dir/doc'], ['/U/a/dir/x/doc']),
  field(
    'content_wildcard_simplified, _empty',
    [{ wildcard: 'a:*:bus/*' }, { wildcard: '' }],
    ['a:1:bus/x', ''],
    ['a:1:x'],
  ),
  field('content_ip_address', [{ cidr: '10.0.0.0/24' }], ['10.0.0.255'], ['10.0.0.256', 123]),
  field(
    'content_ip_address_v6',
    [{ cidr: '2001:db8:1234:1a00::/64' }],
    ['2001:0db8:1234:1a00:0:0:0:0'],
    ['2001:db8:123f::'],
  ),
  field('operator_multiple_list', [{ exists: true }, { prefix: 'x' }, { suffix: 'y' }], ['my-value'], [undefined]),
  field(
    'or-anything-but, or-exists',
    [{ 'anything-but': ['roses'] }, { exists: false }],
    ['ABCD', undefined],
    ['roses'],
  ),
  field('or-numeric-anything-but', [{ numeric: ['>', 100] }, { 'anything-but': '101' }], ['42'], ['101']),
  field('content_exists, exists_list_empty', [{ exists: true }], ['pending'], [undefined, []]),
  {
    source: 'or-exists-parent, content_exists_false',
    policy: { db: { image: { S: [{ 'anything-but': ['roses'] }, { exists: false }] } } },
    matching: [{ db: { other: { N: '789' } } }, { db: { image: { N: '789' } } }, { db: { image: 'text' } }],
    failing: [{ db: { image: { S: 'roses' } } }],
  },
  {
    source: 'exists_dynamodb, list_within_dict',
    policy: { db: { key: { S: [{ exists: true }] } } },
    matching: [{ db: { key: { S: 'x' } } }, { db: { key: [{ a: 1 }, { S: 'x' }, { b: 2 }] } }],
    failing: [{ db: { key: { N: 1 } } }],
  },
  {
    source: 'dot_joining_event, dot_joining_event_NEG, dot_joining_pattern',
    policy: { detail: { state: { status: ['running'] } } },
    matching: [{ detail: { 'state.status': 'running' } }, { 'detail.state': { status: 'running' } }],
    failing: [{ detail: { 'state.status': { status: 'running' } } }],
  },
  {
    source: 'dot_joining_pattern_NEG',
    policy: { detail: { 'state.status': { status: ['running'] } } },
    failing: [{ detail: { state: { status: 'running' } } }],
  },
  { source: 'key_case_sensitive', policy: { KEY: ['a'] }, failing: [{ key: 'a' }] },
  { source: 'nested_json', policy: { detail: { key: ['a'] } }, failing: [{ detail: '{"key":"a"}' }] },
  {
    source: 'complex_or, complex_multi_match, complex_many_rules',
    policy: {
      time: [{ prefix: '2022-07' }],
      detail: {
        admin: ['sky', { prefix: 'ad' }],
        limit: [{ 'anything-but': [100, 300] }],
        $or: [
          { c: [{ numeric: ['>', 0, '<=', 5] }] },
          { d: [{ numeric: ['<', 10] }] },
          { x: [{ numeric: ['=', 3.018e2] }] },
        ],
      },
    },
    matching: [{ time: '2022-07-13', detail: { admin: 'admin', limit: 999, c: 0, d: 0, x: 901.8 } }],
    failing: [
      { time: '2022-07-13', detail: { admin: 'admin', limit: 300, c: 0, d: 0, x: 901.8 } },
      { time: '2022-07-13', detail: { admin: 'admin', limit: 999, c: 0, d: 10, x: 901.8 } },
    ],
  },
]

export const LOCALSTACK: AwsCase[] = [...SNS, ...EVENTBRIDGE]
