import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { FormatName } from '../../../src/core/format/format-names.js'
import { ROOT } from '../../../src/core/platform/root.js'
import { explainFailure, successConditionOf, type Success } from '../../../src/core/webhook/success.js'

function explain(answer: string, success: Success | null, format: FormatName = 'change'): string | undefined {
  const condition = successConditionOf({ success, format })
  return condition && explainFailure(answer, condition)
}

/** The conditions of the README, by receiver. */
function readmeConditions(): Map<string, Success> {
  const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
  const rows = readme.matchAll(/^\| (\w[^|]*) \| `(\{"body.*\})` \|/gm)
  return new Map([...rows].map(([, receivers, json]) => [receivers!, JSON.parse(json!) as Success]))
}

t.test("the README's conditions tell the successes of their receivers from their failures", async (t) => {
  const conditions = readmeConditions()
  const answers = {
    'DingTalk, WeCom': {
      taken: ['{"errcode":0,"errmsg":"ok"}'],
      failed: [
        '{"errcode":310000,"errmsg":"keywords not in content"}',
        '{"errcode":93000,"errmsg":"invalid webhook url, hint: [1642384567], from ip: 192.0.2.1"}',
        '{"errcode":45009,"errmsg":"api freq out of limit"}',
      ],
    },
    'Feishu, Lark': {
      taken: [
        '{"StatusCode":0,"StatusMessage":"success","code":0,"data":{},"msg":"success"}',
        '{"code":0,"msg":"success","data":{}}',
      ],
      failed: [
        '{"code":9499,"msg":"Bad Request","data":{}}',
        '{"code":19021,"msg":"sign match fail or timestamp is not within one hour from current time"}',
      ],
    },
  }
  t.same([...conditions.keys()], Object.keys(answers))
  for (const [receiver, { taken, failed }] of Object.entries(answers)) {
    const success = conditions.get(receiver)!
    for (const answer of taken) t.equal(explain(answer, success), undefined, answer)
    for (const answer of failed) t.match(explain(answer, success), /^the answer fails success\.body: /, answer)
  }
})

t.test('a failure names the condition and the first field that did not match', async (t) => {
  const success = { body: { errcode: [0] } }
  t.equal(
    explain('{"errcode":310000,"errmsg":"x"}', success),
    'the answer fails success.body: /errcode 310000; wanted: [0]',
  )
  t.equal(explain('{}', success), 'the answer fails success.body: /errcode missing; wanted: [0]')
  t.equal(explain('[{"errcode":0}]', success), 'the answer fails success.body: the body is no JSON object')
  for (const answer of ['', 'ok', '{"errcode":', '['.repeat(60_000)]) {
    t.equal(explain(answer, success), 'the answer is no JSON, as success.body needs')
  }
  t.equal(explain('\ufeff{"errcode":0}', success), undefined, 'a byte order mark is ignored')
  t.equal(
    explain('{}', { body: { 'two\nlines': [true] } }),
    'the answer fails success.body: /two lines missing; wanted: [true]',
  )
})

t.test('an excluded text fails the answer in any case; with a policy both must hold', async (t) => {
  const success = { body: { ok: [true] }, body_excludes: ['Warning', 'Quota "A"'] }
  t.equal(explain('{"ok":true}', success), undefined)
  t.equal(
    explain('{"ok":true,"note":"WARNING: slow"}', success),
    'the answer has "Warning" in it, against success.body_excludes',
  )
  t.match(explain('{"ok":false}', success), /^the answer fails success\.body: \/ok false/)
  t.equal(explain('', { body_excludes: ['x'] }), undefined)
})

t.test('what a connector of Teams reports in a 200 fails by default, unless the webhook has a condition', async (t) => {
  const failures = [429, 413, 400, 403, 503].map(
    (status) =>
      `Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error ${status} with ContextId tcid=0`,
  )
  failures.push('Webhook message delivery failed with error: Error contacting Microsoft Teams endpoint')
  for (const answer of failures) {
    t.match(explain(answer, null, 'teams'), /^the answer has "(Microsoft Teams|Webhook message)/)
    t.equal(explain(answer, null, 'slack'), undefined)
    t.equal(explain(answer, { body_excludes: ['never'] }, 'teams'), undefined)
  }
  for (const answer of ['1', '']) t.equal(explain(answer, null, 'teams'), undefined, 'a connector and Workflows')
})
