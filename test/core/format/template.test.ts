import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { setImmediate } from 'node:timers/promises'
import { promisify } from 'node:util'
import t, { type Test } from 'tap'
import { parseJson, type JsonObject } from '../../../src/core/platform/json.js'
import { createTemplateRenderer } from '../../../src/core/format/template.js'
import type { EvaluatorBounds } from '../../../src/core/platform/jsonata.js'
import { alertInput } from './inputs.js'

const { body } = alertInput()

/** A renderer that is closed with the test. Its long timeout keeps a busy machine from failing a test. */
function rendererFor(t: Test, bounds: Partial<EvaluatorBounds> = {}) {
  const renderer = createTemplateRenderer({ timeoutMs: 1000, ...bounds })
  t.teardown(() => renderer.close())
  return renderer
}

t.test('a result is sent as JSON, also a bare text', async (t) => {
  const { render } = rendererFor(t)
  t.same(await render('{"text": updated_alert.title, "ips": [context_diff.source.ip]}', body), {
    ok: true,
    text: '{"text":"AWS Root Credentials Change","ips":["5.205.62.253"]}',
  })
  t.same(await render('updated_alert.title', body), { ok: true, text: '"AWS Root Credentials Change"' })
  t.same(await render('null', body), { ok: true, text: 'null' })
  t.same(await render('1 + 1', body), { ok: true, text: '2' })
  t.same(await render('[]', body), { ok: true, text: '[]' })
  t.same(await render('nothing.here', body), { ok: false, error: 'the template has no result' })
  for (const text of ['$sum', '[$sum]', 'function($x){$x}', '{"f": $uppercase}', '/a/']) {
    t.match(await render(text, body), { ok: false }, text)
  }
  t.match(await render('1 +', body), { ok: false, error: /end of expression/ })
  t.match(await render('$undefined()', body), { ok: false, error: /non-function/ })
})

t.test('a number that fits a double is a number, any other a string with every digit', async (t) => {
  const { render } = rendererFor(t)
  const numbers = parseJson('{"a":[1,0.10000000149011612,1678861298161909,12345678901234567890]}') as JsonObject
  t.same(await render('a', numbers), {
    ok: true,
    text: '[1,0.10000000149011612,1678861298161909,"12345678901234567890"]',
  })
})

t.test(
  'a template has the same result at every attempt: its time is the event’s, and random functions are refused',
  async (t) => {
    const { render } = rendererFor(t)
    t.same(await render('[$now(), $millis(), $now("[Y]")]', body), {
      ok: true,
      text: '["2026-01-02T03:04:06.000Z",1767323046000,"2026"]',
    })
    for (const text of ['$random()', '$shuffle([1,2,3])']) {
      t.match(await render(text, body), { ok: false, error: /not available/ }, text)
    }
  },
)

t.test('the contents of an alert are data', async (t) => {
  const { render } = rendererFor(t)
  const hostile = parseJson(
    '{"__proto__":{"polluted":"yes"},"constructor":["c"],"f":{"_jsonata_lambda":true,"_jsonata_function":true,"x":1},"s":"$eval(1)"}',
  ) as JsonObject
  t.same(await render('$', hostile), {
    ok: true,
    text: '{"__proto__":{"polluted":"yes"},"constructor":["c"],"f":{"x":1},"s":"$eval(1)"}',
  })
  t.same(await render('{}.polluted', hostile), { ok: false, error: 'the template has no result' })
  const escapes = [
    '$string.constructor("return process")()',
    '$lookup($, "constructor")("return process")()',
    '"".constructor.constructor("return 1")()',
    '$eval("process.exit()")',
    '$sum.environment',
  ]
  for (const text of escapes) t.match(await render(text, body), { ok: false }, text)
  t.same(await render('$merge([{"__proto__":{"x":1}}, {"a":1}]).x', body), {
    ok: false,
    error: 'the template has no result',
  })
})

/** Each runs for ever, or exhausts the memory. */
const RUNAWAYS: [name: string, template: string][] = [
  ['an endless tail recursion', '($f := function($x){ $f($x) }; $f(1))'],
  ['a deep recursion', '($f := function($x){ $f($x) + 1 }; $f(1))'],
  ['a mutual recursion', '($f := function($x){ $g($x) & "a" }; $g := function($x){ $f($x) & "b" }; $f(1))'],
  ['a huge range', '[1..1000000000]'],
  ['the largest range that JSONata takes', '[1..10000000]'],
  ['ranges in ranges', '[1..90000].[1..90000].[1..90000]'],
  ['a catastrophic regular expression', '$match("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", /^(a+)+$/)'],
  ['a catastrophic replacement', '$replace("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", /(a|a)*$/, "b")'],
  [
    'a text that doubles',
    '($f := function($s, $n){ $n = 0 ? $uppercase($s) : $f($s & $s, $n - 1) }; $f("aaaaaaaa", 26))',
  ],
  ['a huge padding', '$uppercase($pad("a", 400000000))'],
  ['a list that doubles', '($f := function($a){ $f($append($a, $a)) }; $f([1..1000]))'],
  [
    'an object that doubles',
    '($f := function($o, $n){ $n = 0 ? $o : $f({"x": $o, "y": $o}, $n - 1) }; $f({"a": "bbbbbbbb"}, 40))',
  ],
  ['a template in a template', '($f := function(){ $eval("$f()") }; $f())'],
]

t.test('a template that does not end is stopped, and the next one is evaluated', async (t) => {
  const { render } = rendererFor(t, { timeoutMs: 200 })
  for (const [name, template] of RUNAWAYS) {
    const before = performance.now()
    const answer = await render(template, body)
    const tookMs = performance.now() - before
    t.match(answer, { ok: false }, `${name}: ${answer.ok ? answer.text.slice(0, 80) : answer.error}`)
    t.ok(tookMs < 5000, `${name}: ${Math.round(tookMs)} ms`)
    t.same(await rendererFor(t).render('1', body), { ok: true, text: '1' })
  }
  t.same(await render('1', body), { ok: true, text: '1' }, 'the same renderer too')
})

t.test('a result above the size limit is refused', async (t) => {
  const { render } = rendererFor(t, { maxOutputBytes: 1000 })
  t.match(await render('$pad("", 998)', body), { ok: true })
  t.match(await render('$pad("", 999)', body), { ok: false, error: 'the result is larger than 1000 bytes' })
  t.match(await render('$pad("", 400, "漢")', body), { ok: false, error: /larger/ }, 'in bytes')
})

t.test('a template that ran out of time is refused for a while, others are not', async (t) => {
  const { render } = rendererFor(t, { timeoutMs: 100 })
  const [, endless] = RUNAWAYS[0]!
  t.match(await render(endless, body), { ok: false, error: /timeout|stopped/ })
  t.match(await render(endless, body), { ok: false, error: /not run again for a while/ })
  t.match(await render('1', body), { ok: true })
  const brief = rendererFor(t, { timeoutMs: 100, cooldownMs: 1 })
  await brief.render(endless, body)
  let again = await brief.render(endless, body)
  while (!again.ok && again.error.includes('for a while')) {
    await setImmediate()
    again = await brief.render(endless, body)
  }
  t.match(again, { ok: false, error: /timeout|stopped/ }, 'it is evaluated again after the cooldown')
})

t.test('an error says where it is, and nothing of what is in the body', async (t) => {
  const { render } = rendererFor(t)
  const secret = parseJson('{"a":"hush-hush","b":["hush-hush"]}') as JsonObject
  const cases: [string, string][] = [
    ['$number(a)', 'Unable to cast value to a number: (a value) (at character 8)'],
    [
      'a > 5',
      'The values (a value) and (a value) either side of operator ">" must be of the same data type (at character 3)',
    ],
    ['-b[0]', 'Cannot negate a non-numeric value: (a value) (at character 1)'],
  ]
  for (const [template, error] of cases) t.same(await render(template, secret), { ok: false, error })
})

t.test(
  'a process that was killed while nothing ran is replaced, and no template pays for it',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const { render } = rendererFor(t)
    t.match(await render('1', body), { ok: true })
    const killed = await evaluatorsOf(String(process.pid))
    for (const pid of killed) process.kill(pid, 'SIGKILL')
    const isLeft = (names: string[]) => killed.some((pid) => names.includes(String(pid)))
    while (isLeft(await readdir('/proc'))) await setImmediate()
    t.match(await render('1', body), { ok: true })
  },
)

t.test('evaluations run one after the other, and more than `maxWaiting` are refused', async (t) => {
  const { render } = rendererFor(t, { maxWaiting: 3 })
  const answers = await Promise.all(['1', '2', '3', '4'].map((text) => render(text, body)))
  t.same(
    answers.slice(0, 3).map((answer) => answer.ok && answer.text),
    ['1', '2', '3'],
  )
  t.match(answers[3], { ok: false, error: /too many/ })
  t.match(await render('5', body), { ok: true, text: '5' })
})

t.test('a closed renderer refuses waiting and new evaluations', async (t) => {
  const renderer = createTemplateRenderer()
  const waiting = ['($f := function($x){ $f($x) }; $f(1))', '1'].map((text) => renderer.render(text, body))
  renderer.close()
  for (const answer of [...(await Promise.all(waiting)), await renderer.render('1', body)]) {
    t.match(answer, { ok: false, error: /shutting down/ })
  }
})

t.test(
  'an evaluation ends with its parent, also in a regular expression',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const parent = `
    import { createTemplateRenderer } from ${JSON.stringify(new URL('../../../src/core/format/template.js', import.meta.url).href)}
    const renderer = createTemplateRenderer({ timeoutMs: 60_000 })
    await renderer.render('1', {})
    void renderer.render(${JSON.stringify(RUNAWAYS[6]![1])}, {})
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), 100)
    process.stdout.write(String(process.pid))
  `
    const run = promisify(execFile)(process.execPath, ['--input-type=module', '-e', parent])
    const { stdout } = await run.catch((error: { stdout: string }) => error)
    t.match(stdout, /^\d+$/)
    const deadline = Date.now() + 10_000
    while ((await evaluatorsOf(stdout)).length > 0 && Date.now() < deadline) {
      await setImmediate()
    }
    t.same(await evaluatorsOf(stdout), [])
  },
)

/** The evaluating processes of a parent, whose pid is in their program. */
async function evaluatorsOf(parent: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const commands = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return pids.filter((_, i) => commands[i]!.includes(`process.ppid === ${parent} `)).map(Number)
}
