/**
 * What event-ruler's public tests say of values, as policies with the bodies that match and those that do not. Each row names the
 * test in aws/event-ruler (src/test, at 337e8d9) that it is the fact of. Policies and bodies are our own.
 */
import type { AwsCase } from './aws-case.js'

const one = { exists: true }
const none = { exists: false }

export const EVENT_RULER_VALUES: AwsCase[] = [
  {
    source: 'RulerTest with its README event, whose keys have dots',
    policy: {
      time: [{ prefix: '2017-10-02' }],
      detail: {
        'c.count': [{ numeric: ['>', 0, '<=', 5] }],
        'x.limit': [{ numeric: ['=', 3.018e2] }],
        ip: [{ cidr: '10.0.0.0/24' }],
        state: [{ suffix: { 'equals-ignore-case': 'nInG' } }],
      },
    },
    matching: [
      { time: '2017-10-02T16:24:49Z', detail: { 'c.count': 5, 'x.limit': 301.8, ip: '10.0.0.33', state: 'running' } },
      { time: '2017-10-02', detail: { c: { count: 5 }, x: { limit: 301.8 }, ip: '10.0.0.33', state: 'running' } },
    ],
    failing: [{ time: '2017-10-02', detail: { 'c.count': 6, 'x.limit': 301.8, ip: '10.0.0.33', state: 'running' } }],
  },
  {
    source: 'RulerTest.WHEN_WeWriteRulesToMatchVariousFieldCombos_THEN_TheyWork',
    policy: {
      image: { width: [{ numeric: ['>=', 99.999, '<=', 100] }], title: [{ 'anything-but': 'Flood' }], moving: [false] },
    },
    matching: [{ image: { width: 100, title: 'Floor', moving: false } }],
    failing: [
      { image: { width: 100.00001, title: 'Floor', moving: false } },
      { image: { width: 100, title: 'Flood', moving: false } },
      { image: { width: 100, title: 'Floor', moving: true } },
    ],
  },
  {
    source: 'RulerTest.WHEN_WeTryAnythingButRules_THEN_Theywork; ACMachineTest.testAnythingBut...',
    policy: {
      a: [{ 'anything-but': ['dad0', 'dad1'] }],
      b: [{ 'anything-but': [111, 222] }],
      c: [{ 'anything-but': { prefix: ['$', '%'] } }],
      d: [{ 'anything-but': { suffix: 'ing' } }],
      e: [{ 'anything-but': { 'equals-ignore-case': ['Yes', 'please'] } }],
      f: [{ 'anything-but': { wildcard: ['*foo*', '*bar*'] } }],
    },
    matching: [
      { a: 'dad789', b: '444', c: 'value$', d: 'finger', e: 'No!', f: 'fobaor' },
      { a: 5, b: 345, c: 'value%', d: null, e: true, f: 7 },
    ],
    failing: [
      { a: 'dad1', b: 1, c: 'c', d: 'd', e: 'e', f: 'f' },
      { a: 'a', b: 111, c: 'c', d: 'd', e: 'e', f: 'f' },
      { a: 'a', b: 1, c: '%not', d: 'd', e: 'e', f: 'f' },
      { a: 'a', b: 1, c: 'c', d: 'matching', e: 'e', f: 'f' },
      { a: 'a', b: 1, c: 'c', d: 'd', e: 'PLEASE', f: 'f' },
      { a: 'a', b: 1, c: 'c', d: 'd', e: 'e', f: 'sfoobars' },
      { a: 'a', b: 1, c: 'c', d: 'd', e: 'e' },
    ],
  },
  {
    source: 'ACMachineTest.testSharedNameStateForMultipleAnythingButPatterns',
    policy: { a: [{ 'anything-but': 'x' }, { 'anything-but': 'y' }] },
    matching: [{ a: 'x' }, { a: 'y' }],
  },
  {
    source:
      'MachineTest.testEqualsIgnoreCaseMatching; EqualsIgnoreCaseParserTest, whose letters have upper cases of other lengths',
    policy: { a: [{ 'equals-ignore-case': 'aBc' }, { 'equals-ignore-case': '1aA*†Éⱥ' }] },
    matching: [{ a: 'abc' }, { a: 'AbC' }, { a: '1Aa*†éȺ' }],
    failing: [{ a: 'aabc' }, { a: 'abcc' }, { a: '1Aa*†eȺ' }],
  },
  {
    source: 'MachineTest.testPrefixMatching, testSuffixMatching, testSuffixChineseMatch',
    policy: { a: [{ prefix: 'zoo' }, { prefix: { 'equals-ignore-case': 'child' } }, { suffix: '统治者' }] },
    matching: [{ a: 'zoo' }, { a: 'zookeeper' }, { a: 'cHildlike' }, { a: '事件统治者' }],
    failing: [{ a: 'Zookeeper' }, { a: 'a child' }, { a: '统治者们' }],
  },
  {
    source: 'MachineTest.testWildcardMatching',
    policy: { a: [{ wildcard: '*bc' }, { wildcard: 'd*ff' }, { wildcard: 'xy*' }, { wildcard: '12*4*' }] },
    matching: [{ a: 'bc' }, { a: 'abcbc' }, { a: 'dexeff' }, { a: 'xy' }, { a: '12345' }, { a: '124' }],
    failing: [{ a: 'abcx' }, { a: 'dexef' }, { a: 'abcxyz' }, { a: '1235' }],
  },
  {
    source: 'ACMachineTest.testNumericMatch',
    policy: { a: [{ numeric: ['=', 0] }], b: [{ numeric: ['<', 0] }], c: [{ numeric: ['>=', 0] }] },
    matching: [{ a: [0], b: [-0.1], c: [0] }],
    failing: [
      { a: 0.1, b: -0.1, c: 0 },
      { a: 0, b: 0, c: 0 },
      { a: 0, b: -0.1, c: -0.1 },
    ],
  },
  {
    source: 'ACMachineTest.testIPAddressOfCIDRIsEqualToMaximumOfRange; CIDRTest.TestCorrectRanges',
    policy: { ip: [{ cidr: '220.160.153.171/31' }, { cidr: '220.160.154.255/24' }, { cidr: '2600:1F14::/35' }] },
    matching: [{ ip: '220.160.153.170' }, { ip: '220.160.154.0' }, { ip: '2600:1f14:1fff::1' }],
    failing: [{ ip: '220.160.153.169' }, { ip: '220.160.155.0' }, { ip: '2600:1f14:2000::' }, { ip: '700.168.0.1' }],
  },
  {
    source: 'MachineTest.testIpExactMatch; CIDRTest.testInvalidIPMatchedByIPv6Regex',
    policy: { ip: ['::9', '2400:6500:FF00::36FB:1F8F', '255.255.255.27', '08:23'] },
    matching: [{ ip: '::9' }, { ip: '2400:6500:FF00::36FB:1F8F' }, { ip: '255.255.255.27' }, { ip: '08:23' }],
    failing: [{ ip: '::8' }, { ip: '2400:6500:FF00::36FB:1F8E' }, { ip: '255.255.255.28' }],
  },
  {
    source: 'ACMachineTest.testExistsFalseNameStateSharedWithSpecificValueMatch and the tests around it',
    policy: { a: ['b', 'c'], d: [none, '1'], e: [one] },
    matching: [
      { a: 'b', e: 0 },
      { a: 'c', d: '1', e: null },
    ],
    failing: [{ a: 'b', d: '2', e: 0 }, { a: 'x', e: 0 }, { a: 'b' }],
  },
  {
    source: 'JsonRuleCompilerTest.testBasicFunctionOfOrRelationshipRules; orRelationshipRules.json',
    policy: {
      source: ['cw'],
      $or: [
        { metric: ['cpu'] },
        { type: ['t'], ns: ['ec2'], $or: [{ id: [1234] }, { space: [1000] }] },
        { scope: ['s'] },
      ],
      detail: { $or: [{ from: ['cw'] }, { kind: ['alarm'] }] },
    },
    matching: [
      { source: 'cw', metric: 'cpu', detail: { from: 'cw' } },
      { source: 'cw', type: 't', ns: 'ec2', space: 1000, detail: { kind: 'alarm' } },
      { source: 'cw', scope: 's', detail: { from: 'x', kind: 'alarm' } },
    ],
    failing: [
      { metric: 'cpu', detail: { from: 'cw' } },
      { source: 'cw', type: 't', ns: 'ec2', detail: { kind: 'alarm' } },
      { source: 'cw', metric: 'cpu', detail: {} },
    ],
  },
  {
    source: 'ACMachineTest.testDifferentValuesFromExplicitOrRuleBothGoThroughSharedNameState',
    policy: {
      $or: [
        { zoo: ['1'], bar: ['x'] },
        { foo: ['a'], bar: ['y'] },
      ],
    },
    matching: [
      { zoo: '1', bar: 'x' },
      { foo: 'a', bar: 'y' },
    ],
    failing: [{ foo: 'a', bar: 'x' }],
  },
  {
    source: 'normalRulesWithOrWording.json',
    policy: { a: { $or: [{ numeric: ['>', 0, '<=', 5] }, { cidr: '10.0.0.0/8' }] }, b: { $or: { c: ['d'] } } },
    matching: [
      { a: { $or: 5 }, b: { $or: { c: 'd' } } },
      { a: { $or: '10.1.1.1' }, b: { '$or.c': 'd' } },
    ],
    failing: [{ a: { $or: 6 }, b: { $or: { c: 'd' } } }],
  },
]
