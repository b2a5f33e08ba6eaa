import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { ATTEMPT_OUTCOMES } from '../src/core/delivery/policy.js'
import { EVENT_TYPES, TEST_EVENT_TYPE } from '../src/core/event/event.js'
import { STATUS_OF } from '../src/core/platform/errors.js'
import { createMetrics } from '../src/core/platform/metrics.js'
import { ROOT } from '../src/core/platform/root.js'

const read = (name: string) => readFile(join(ROOT, 'deploy', name), 'utf8')
const dashboard = await read('grafana-dashboard.json')
const alerts = await read('prometheus-alerts.yml')

interface Panel {
  title: string
  type: string
  datasource?: { uid: string }
  targets?: { expr: string }[]
}
const { panels, templating } = JSON.parse(dashboard) as { panels: Panel[]; templating: { list: { name: string }[] } }
const panelExprs = panels.flatMap(({ targets }) => targets ?? []).map(({ expr }) => expr)
/** The alert rules as text, without a YAML parser. */
const rules = alerts.split(/^ +- alert: /m).slice(1)
const exprOf = (rule: string) => /^ +expr: (?:>-\n)?([\s\S]*?)\n +for: /m.exec(rule)![1]!

/** The samples of /metrics: their names with the names of their labels. */
async function scrapeSamples(): Promise<Map<string, Set<string>>> {
  const webhook = { id: 'wh_1', name: 'soar' }
  const metrics = createMetrics(async () => ({
    undispatchedEvents: 1,
    pendingDeliveries: 1,
    oldestDueS: 1,
    webhooks: { healthy: 1, failing: 1, recovering: 1, disabled: 1 },
    byWebhook: { listed: [{ ...webhook, state: 'healthy', waiting: 1 }], others: undefined },
    pendingTopics: 1,
    jobs: [{ queue: 'dispatch', state: 'waiting', count: 1 }],
  }))
  metrics.countMessage('stored')
  metrics.countAttempt('succeeded', 1, webhook)
  metrics.countEvent({ type: 'alert.created', source: 'sns' })
  metrics.countRequest({ method: 'GET', route: '/v1/events', statusCode: 200 })
  metrics.countCertificateFetch('fetched')
  const samples = new Map<string, Set<string>>()
  for (const [, name, labels = ''] of (await metrics.scrape()).matchAll(/^(\w+)(?:\{(.*)\})? /gm)) {
    const known = samples.get(name!) ?? new Set(['job', 'instance'])
    for (const [, label] of labels.matchAll(/(\w+)="/g)) known.add(label!)
    samples.set(name!, known)
  }
  return samples
}

/** The values of labels with fixed values. */
const VALUES: Record<string, readonly string[]> = {
  result: [...Object.keys(STATUS_OF), 'stored', 'duplicate', 'internal_error', 'fetched', 'failed'],
  outcome: ATTEMPT_OUTCOMES,
  kind: ['undispatched_events', 'pending_deliveries'],
  state: ['healthy', 'failing', 'recovering', 'disabled', 'disabled_by_operator'],
  type: [...EVENT_TYPES, TEST_EVENT_TYPE],
  source: ['sns', 'rule_matches', 'relay'],
  status: ['1xx', '2xx', '3xx', '4xx', '5xx'],
}

t.test('every expression uses metrics, labels and values of /metrics', async (t) => {
  const samples = await scrapeSamples()
  const exprs = [...panelExprs, ...rules.map(exprOf)]
  t.ok(rules.length >= 7 && panelExprs.length >= 15)
  for (const expr of exprs) {
    const used = [...expr.matchAll(/\b((?:alert_relay|nodejs|process)_\w+|up\b)(?:\{([^}]*)\})?/g)]
    t.ok(used.length > 0, `a metric is in ${expr}`)
    for (const [, name, selector = ''] of used.filter(([, name]) => name !== 'up')) {
      t.ok(samples.has(name!), `${name} is in the scrape`)
      for (const [, label, , text] of selector.matchAll(/(\w+)(=~|!=|=)"([^"]*)"/g)) {
        t.ok(samples.get(name!)?.has(label!), `${name} has the label ${label}`)
        const values = VALUES[label!]
        if (values) for (const value of text!.split('|')) t.ok(values.includes(value), `${label} may be ${value}`)
      }
    }
    for (const [, labels] of expr.matchAll(/\bby \(([^)]*)\)/g)) {
      const known = new Set(used.flatMap(([, name]) => [...(samples.get(name!) ?? [])]))
      for (const label of labels!.split(', ')) t.ok(known.has(label), `${label} is a label in ${expr}`)
    }
  }
})

t.test('a counter that alerts at its first increase is exported as 0 before', async (t) => {
  const metrics = createMetrics(() => Promise.reject(new Error('not read')))
  const scrape = await metrics.scrape()
  const selected = rules.map(exprOf).flatMap((expr) => [...expr.matchAll(/increase\((\w+)\{(\w+)=~?"([^"]*)"\}/g)])
  t.ok(selected.length >= 4)
  for (const [, name, label, values] of selected) {
    for (const value of values!.split('|')) t.ok(scrape.includes(`${name}{${label}="${value}"} 0`), `${name} ${value}`)
  }
})

t.test('every metric of the relay is on the dashboard', async (t) => {
  const own = [...(await scrapeSamples()).keys()].filter((name) => /^alert_relay_(?!.*_(sum|count)$)/.test(name))
  for (const name of own) t.ok(dashboard.includes(name), name)
})

t.test('the dashboard uses the data source chosen at import, and its panel ids are unique', async (t) => {
  t.same(
    templating.list.map(({ name }) => name),
    ['datasource', 'job'],
  )
  for (const { title, type, datasource } of panels.filter((panel) => panel.type !== 'row')) {
    t.match(datasource?.uid, /^\$\{datasource\}$/, `${title} (${type})`)
  }
  const ids = [...dashboard.matchAll(/^ {6}"id": (\d+)/gm)].map(([, id]) => id)
  t.equal(new Set(ids).size, panels.length)
})

t.test('every alert has a duration, severity, summary and description, and is in the README', async (t) => {
  const readme = await read('README.md')
  for (const rule of rules) {
    const name = rule.slice(0, rule.indexOf('\n'))
    t.match(rule, /^ +for: \d+m$/m, name)
    t.match(rule, /^ +severity: (warning|critical)$/m, name)
    t.match(rule, /^ +summary: .{10}/m, name)
    t.match(rule, /^ +description: >-\n.{40}/m, name)
    t.ok(readme.includes(`\`${name}\``), `${name} is explained`)
  }
})
