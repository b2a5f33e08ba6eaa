/**
 * What event-ruler's public tests say of lists, as policies with the bodies that match and those that do not. Each row names the
 * test in aws/event-ruler (src/test, at 337e8d9) that it is the fact of; correctness-cases.json gives no outcomes, so those
 * are what the library answered. Policies and bodies are our own.
 */
import type { AwsCase } from './aws-case.js'

const one = { exists: true }
const none = { exists: false }
const CORRECTNESS = 'correctness-cases.json'

const both = { log: { ip: [one], user: [one] } }
const three = { log: { ip: [one], user: [one], host: [one] } }
const pair = { log: { user: ['ann'], status: ['open'] } }
const tagged = { log: { tags: [one], kind: [one] } }

export const EVENT_RULER_LISTS: AwsCase[] = [
  {
    source: `${CORRECTNESS}: flat, objarray`,
    policy: both,
    matching: [
      { log: { ip: 1, user: 2 } },
      { log: [{ ip: 1, user: 2 }] },
      { log: [{ ip: 1 }, { user: 2 }, { ip: 3, user: 4 }] },
      { log: [{ ip: 'a' }, { ip: 'b' }, { ip: 'c' }, { ip: 'd' }, { ip: 'e', user: 'eve' }] },
    ],
    failing: [{ log: { ip: 1 } }, { log: [{ ip: 1 }, { user: 2 }] }, {}, { log: [] }],
  },
  {
    source: `${CORRECTNESS}: objarray, 3-field`,
    policy: three,
    matching: [{ log: [{ ip: 1, user: 2, host: 3 }] }],
    failing: [{ log: [{ ip: 1 }, { user: 2 }, { host: 3 }] }],
  },
  {
    source: `${CORRECTNESS}: exact`,
    policy: pair,
    matching: [
      { log: { user: 'ann', status: 'open' } },
      { log: [{ user: 'ann', status: 'open' }] },
      { log: [{ user: 'x' }, { user: 'y' }, { user: 'ann', status: 'open' }, { user: 'z' }] },
    ],
    failing: [{ log: { user: 'ann', status: 'shut' } }, { log: [{ user: 'ann' }, { status: 'open' }] }],
  },
  {
    source: `${CORRECTNESS}: prefix, suffix in lists of objects`,
    policy: { log: { user: [{ prefix: 'an' }, { suffix: 'ob' }], status: [one] } },
    matching: [
      { log: { user: 'ann', status: 1 } },
      { log: [{ user: 'ann', status: 1 }] },
      { log: [{ user: 'bob', status: 1 }] },
    ],
    failing: [{ log: [{ user: 'ann' }, { status: 1 }] }, { log: [{ user: 'bob' }, { status: 1 }] }],
  },
  {
    source: `${CORRECTNESS}: primarray`,
    policy: tagged,
    matching: [
      { log: { tags: ['a', 'b'], kind: 'x' } },
      { log: { tags: ['only'], kind: 'x' } },
      { log: { tags: ['a', 'b', 'c'], kind: 'G' } },
    ],
    failing: [{ log: { tags: [], kind: 'x' } }],
  },
  {
    source: `${CORRECTNESS}: primarray, operators`,
    policy: { tags: ['admin', { prefix: 'ro' }, { numeric: ['>', 0, '<', 10] }] },
    matching: [{ tags: ['user', 'admin'] }, { tags: ['root', 'user'] }, { tags: [100, 5, 200] }],
    failing: [{ tags: ['user', 'dev'] }, { tags: [100, 200] }],
  },
  {
    source: `${CORRECTNESS}: anything-but`,
    policy: { log: { status: [{ 'anything-but': 'shut' }], user: [one] } },
    matching: [
      { log: { status: 'open', user: 1 } },
      { log: { status: ['shut', 'open'], user: 1 } },
      {
        log: [
          { user: 'ann', status: 'shut' },
          { user: 'bob', status: 'open' },
        ],
      },
    ],
    failing: [{ log: [{ user: 'ann', status: 'shut' }] }],
  },
  {
    source: `${CORRECTNESS}: nested`,
    policy: { users: { tags: { key: ['colour'], value: ['blue'] } } },
    matching: [{ users: [{ tags: [{ key: 'colour', value: 'blue' }] }] }],
    failing: [{ users: [{ tags: [{ key: 'colour' }, { value: 'blue' }] }] }],
  },
  {
    source: `${CORRECTNESS}: nested, outer`,
    policy: { log: { user: [one], info: { level: ['1'] } } },
    matching: [{ log: [{ user: 'ann', info: { level: '1' } }] }],
    failing: [{ log: [{ user: 'ann' }, { info: { level: '1' } }] }],
  },
  {
    source: `${CORRECTNESS}: nested2, deep prim`,
    policy: { a: { b: { x: [one], y: [one] } } },
    matching: [{ a: [{ b: [{ x: 1, y: 2 }] }] }, { a: { b: { x: ['p', 'q', 'r'], y: 'ok' } } }],
    failing: [{ a: [{ b: [{ x: 1 }, { y: 2 }] }] }],
  },
  {
    source: `${CORRECTNESS}: mixed`,
    policy: { users: { name: [one], mail: [one] }, tags: ['admin'] },
    matching: [{ users: [{ name: 'ann', mail: 'a' }], tags: ['admin', 'user'] }],
    failing: [
      { users: [{ name: 'ann' }, { mail: 'b' }], tags: ['admin'] },
      { users: [{ name: 'ann', mail: 'a' }], tags: 'user' },
    ],
  },
  {
    source: `${CORRECTNESS}: exists-false`,
    policy: { log: { ip: [one], user: [none] } },
    matching: [{ log: [{ ip: 1 }] }, { log: [{ ip: 1 }, { ip: 2, user: 'ann' }] }],
    failing: [{ log: [{ ip: 1, user: 'ann' }] }],
  },
  {
    source: 'GenericMachineTest.arraysBugTest, nestedArraysTest; RulerTest with lists of lists',
    policy: { team: { first: ['Anna'], last: ['Smith'], ids: [none] } },
    matching: [
      {
        team: [
          [
            { first: 'John', ids: [7] },
            { first: 'Anna', last: 'Smith' },
          ],
          [{ first: 'Peter', ids: [] }],
        ],
      },
      { team: { first: 'Anna', last: 'Smith', ids: [] } },
    ],
    failing: [
      { team: [[{ first: 'Anna', last: 'Doe' }], [{ first: 'Peter', last: 'Smith' }]] },
      { team: [{ first: 'Anna', last: 'Smith', ids: [7] }] },
      { team: 'Anna' },
    ],
  },
  {
    source: 'ACMachineTest.songsACTest',
    policy: { year: [1966], songs: { name: ['Paperback Writer'], writers: { first: ['Paul'], last: ['McCartney'] } } },
    matching: [
      {
        year: 1966,
        songs: [
          {
            name: 'Paperback Writer',
            writers: [
              { first: 'John', last: 'Lennon' },
              { first: 'Paul', last: 'McCartney' },
            ],
          },
          { name: 'Paint It Black', writers: [{ first: 'Mick', last: 'Jagger' }] },
        ],
      },
    ],
    failing: [
      {
        year: 1966,
        songs: [{ name: 'Paperback Writer', writers: [{ first: 'Paul', last: 'Lennon' }, { last: 'McCartney' }] }],
      },
      { year: 1966, songs: [{ name: 'Paperback Writer' }, { writers: [{ first: 'Paul', last: 'McCartney' }] }] },
    ],
  },
  {
    source: 'ACMachineTest.intensitiesACTest',
    policy: { lines: { points: { pp: ['index0'] } } },
    matching: [
      {
        lines: [
          {
            points: [
              [
                [{ pp: 'index0' }, 483.3, 287.5],
                [{ pp: 'index1' }, 490, 300],
              ],
            ],
          },
        ],
      },
    ],
    failing: [{ lines: [{ points: [[[{ pp: 'index1' }, 483.3]]] }] }],
  },
  {
    source: 'ACMachineTest.testACWithExistFalseRule',
    policy: { jobs: { state: ['ACTIVE'], uses: { extra: { name: [none] } } } },
    matching: [
      {
        jobs: [
          { state: 'ACTIVE', uses: [{ id: 1 }] },
          { state: 'OFF', uses: [{ extra: [{ name: 'x' }] }] },
        ],
      },
    ],
    failing: [
      {
        jobs: [
          { state: 'ACTIVE', uses: [{ id: 1, extra: [{ name: 'x' }] }] },
          { state: 'OFF', uses: [{}] },
        ],
      },
    ],
  },
]
