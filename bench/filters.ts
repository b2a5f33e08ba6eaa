/**
 * filters: filter policies matched a second against one alert change.
 *
 * A thousand policies of common kinds, each with its own constants, so that a few match and most do not, against the body
 * of the sample change. The bare loop is a thousand closures that compare the same fields by hand. Both must select the
 * same webhooks.
 *
 * The worst: the most CPU time that an accepted policy takes for a body of 256 KiB, of many that are made to be slow.
 */
import { SAMPLE_CHANGE } from '../src/core/event/sample.js'
import { parseJson, type Json } from '../src/core/platform/json.js'
import { matchesPolicy } from '../src/core/filter/match.js'
import { parseFilterPolicy } from '../src/core/filter/policy.js'
import { createRandom, hostileFilter, type Hostile } from './hostile-filters.js'
import { alone, type Measurement } from './measurement.js'

const WEBHOOKS = 1000

/** The fields that the closures read, of the sample change with a `relay` key. */
interface Body {
  updated_alert: {
    title: string
    severity: string
    match_count: number
    context: { cloud: { region: string[] }; source: { ip: string[] }; user: { name: string[] } }
  }
  context_diff: { user?: { name?: string[] } }
  relay: { type: string; sequence: number }
}

interface Filter {
  policy: unknown
  byHand: (body: Body) => boolean
}

/** One webhook in ten matches the body; the others differ in a constant. */
const FILTERS: ((index: number, pick: (right: string) => string) => Filter)[] = [
  (_, pick) => {
    const [severity, type] = [pick('medium'), 'alert.updated']
    return {
      policy: { updated_alert: { severity: [severity, 'critical'] }, relay: { type: [type] } },
      byHand: ({ updated_alert: { severity: actual }, relay }) =>
        (actual === severity || actual === 'critical') && relay.type === type,
    }
  },
  (index, pick) => {
    const title = pick('AWS Root')
    return {
      policy: { updated_alert: { title: [{ prefix: title }], match_count: [{ numeric: ['>=', 1, '<', index + 10] }] } },
      byHand: ({ updated_alert: { title: actual, match_count: count } }) =>
        actual.startsWith(title) && count >= 1 && count < index + 10,
    }
  },
  (_, pick) => {
    const [name, region] = [pick('John Doe'), 'us-west-2']
    return {
      policy: {
        updated_alert: { context: { cloud: { region: [region] } } },
        $or: [{ context_diff: { user: { name: [name] } } }, { relay: { type: ['alert.created'] } }],
      },
      byHand: ({ updated_alert: { context }, context_diff: diff, relay }) =>
        context.cloud.region.includes(region) &&
        ((diff.user?.name?.includes(name) ?? false) || relay.type === 'alert.created'),
    }
  },
  (_, pick) => {
    const [word, other] = [pick('Credentials'), pick('root')]
    return {
      policy: {
        updated_alert: {
          title: [{ wildcard: `*${word}*` }],
          context: { user: { name: [{ 'anything-but': [other, 'admin'] }] } },
        },
      },
      byHand: ({ updated_alert: { title, context } }) =>
        title.includes(word) && context.user.name.some((name) => name !== other && name !== 'admin'),
    }
  },
]

export async function measureFilters({ quick }: { quick: boolean }): Promise<Measurement[]> {
  const body: Json = parseJson(JSON.stringify({ ...SAMPLE_CHANGE, relay: { type: 'alert.updated', sequence: 7 } }))
  const filters = Array.from({ length: WEBHOOKS }, (_, index) =>
    FILTERS[index % FILTERS.length]!(index, (right) => (index % 10 === 0 ? right : `${right} ${index}`)),
  )
  const policies = filters.map(({ policy }) => parseFilterPolicy(policy))
  const closures = filters.map(({ byHand }) => byHand)
  const byPolicy = () => policies.filter((policy) => matchesPolicy(policy, body)).length
  const byHand = () => closures.filter((wants) => wants(body as unknown as Body)).length
  if (byPolicy() !== byHand()) throw new Error(`policies selected ${byPolicy()} webhooks, closures ${byHand()}`)

  const rounds = quick ? 5 : 20
  const [value, bare] = [[] as number[], [] as number[]]
  // in turn, so that other load on the machine affects both
  for (let round = 0; round < rounds; round++) {
    value.push(perSecond(byPolicy, quick ? 50 : 200))
    bare.push(perSecond(byHand, quick ? 50 : 200))
  }
  const [policyRate, handRate] = [Math.max(...value), Math.max(...bare)]
  return [
    {
      name: `filters, ${WEBHOOKS.toLocaleString('en')} webhooks`,
      value: policyRate,
      bare: handRate,
      ratio: policyRate / handRate,
      unit: 'webhooks/s',
    },
    worstOf(quick ? 150 : 1000),
  ]
}

/** Each is measured with a body that was not looked at before, the slowest of them again. */
function worstOf(count: number): Measurement {
  const random = createRandom(1)
  const found = Array.from({ length: count }, () => {
    const filter = hostileFilter(random)
    return { filter, ms: cpuMs(filter) }
  })
  const slowest = found.sort((a, b) => b.ms - a.ms).slice(0, 10)
  const again = slowest.map(({ filter }) => ({
    filter,
    ms: Math.min(...Array.from({ length: 3 }, () => cpuMs(filter))),
  }))
  const { filter, ms } = again.reduce((worst, one) => (one.ms > worst.ms ? one : worst))
  return alone(`filters, worst of ${count.toLocaleString('en')}`, ms, 'ms', filter.name)
}

function cpuMs({ policy, body }: Hostile): number {
  const parsed = parseJson(body)
  const before = process.cpuUsage()
  matchesPolicy(policy, parsed)
  return process.cpuUsage(before).user / 1000
}

/** Webhooks matched a second, from a number of passes over all of them. */
function perSecond(pass: () => number, passes: number): number {
  const start = performance.now()
  for (let done = 0; done < passes; done++) pass()
  return (WEBHOOKS * passes * 1000) / (performance.now() - start)
}
