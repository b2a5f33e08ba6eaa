/** Floods of strangers: made-up certificate URLs, topics that wait, keys that nobody made. What they cost is bounded. */
import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { createCertificateCache } from '../../src/core/sns/certificate-cache.js'
import { keepPending, MAX_OF_ACCOUNT, MAX_PENDING } from '../../src/core/sns/pending-store.js'
import { FULL_KEY, openTestApi } from '../helpers/api.js'
import { reportCount } from '../helpers/attacks.js'
import { borrowTestDatabase } from '../helpers/backends.js'
import { createSnsPublisher, TEST_TOPIC } from '../helpers/sns-publisher.js'
import { verifierOf } from '../helpers/sns-verifier.js'

const publisher = await createSnsPublisher()

t.test('made-up URLs in the name of a known topic delay no genuine one for longer than a repeat of SNS', async (t) => {
  const genuine = publisher.notification()
  let waiting: (() => void)[] = []
  const certificates = createCertificateCache({
    fetch: async (url) => {
      await new Promise<void>((resolve) => waiting.push(resolve))
      if (url.href === genuine.SigningCertURL) return { status: 200, body: publisher.certificate }
      return { status: 404, body: '' }
    },
  })
  const { verify } = verifierOf(certificates)
  const forge = (i: number) => {
    const name = `SimpleNotificationService-${String(i).padStart(32, '0')}.pem`
    return verify({ ...genuine, SigningCertURL: new URL(name, genuine.SigningCertURL).href }).catch(() => {})
  }
  for (let i = 0; i < 3000; i++) void forge(i)
  const first = verify(genuine)
  for (let i = 3000; i < 6000; i++) void forge(i)
  await Promise.resolve()
  t.ok(waiting.length <= 8, 'few are fetched at once')
  const again = verify(genuine) // as SNS does when nobody answered in time
  const taken: unknown[] = []
  const both = Promise.all([first, again]).then(() => taken.push('both'))
  for (let rounds = 0; taken.length === 0 && rounds < 5; rounds++) {
    for (const answer of waiting.splice(0)) answer()
    await turn()
  }
  t.equal(taken.length, 1, 'what was asked for again goes first')
  await both
  waiting = []
  reportCount(t, 6000, 'made-up certificate URLs of a known topic')
})

t.test('made-up URLs in the name of topics that wait have a budget, which a known topic does not share', async (t) => {
  let fetches = 0
  let now = Date.now()
  const certificates = createCertificateCache({
    now: () => now,
    fetch: async () => {
      fetches++
      return new Promise(() => {})
    },
  })
  const forge = async (i: number, standing: 'known' | 'new' = 'new') =>
    certificates.publicKeyFor({
      certificateUrl: `https://sns.us-east-1.amazonaws.com/SimpleNotificationService-${String(i).padStart(32, '0')}.pem`,
      topicArn: TEST_TOPIC,
      standing,
    })
  for (let i = 0; i < 10; i++) forge(i).catch(() => {})
  for (let i = 10; i < 1000; i++) await t.rejects(forge(i), { code: 'undecided', status: 503 })
  t.equal(fetches, 10)
  forge(2000, 'known').catch(() => {})
  t.equal(fetches, 11)
  now += 1000
  for (let i = 3000; i < 3005; i++) forge(i).catch(() => {})
  await t.rejects(forge(3005), { code: 'undecided' })
  t.equal(fetches, 16, 'five more a second later')
  reportCount(t, 998, 'made-up certificate URLs of topics that wait')
})

t.test('topics of any number of accounts that wait take a bounded number of rows', async (t) => {
  const database = await borrowTestDatabase(t)
  const arnOf = (account: number, i: number) => `arn:aws:sns:us-east-1:${String(account).padStart(12, '0')}:t${i}`
  let count = 0
  for (let account = 1; account <= 60; account++) {
    const topics = Array.from({ length: 20 }, (_, i) => arnOf(account, i))
    await Promise.all(topics.map((arn) => keepPending(database, { arn, subscribeUrl: undefined, now: new Date() })))
    count += topics.length
  }
  const { rows } = await database.query<{ account: string; count: number }>(
    `select split_part(arn, ':', 5) as account, count(*)::int as count from topics group by 1`,
  )
  t.ok(rows.every((row) => row.count <= MAX_OF_ACCOUNT))
  t.ok(rows.reduce((sum, row) => sum + row.count, 0) <= MAX_PENDING)
  reportCount(t, count, 'topics that nobody approved')
})

t.test('keys that nobody made cost an entry of the audit log a minute, and an address waits after ten', async (t) => {
  const { inject, lines, entries, makeKey } = await openTestApi(t)
  const { key: good } = await makeKey({ scope: 'read' })
  const ask = (key: string, remoteAddress: string) =>
    inject({ url: '/v1/webhooks', remoteAddress, headers: { authorization: `Bearer ${key}` } }, { once: true })
  t.equal((await ask(good, '192.0.2.1')).statusCode, 200)
  const statuses = new Map<number, number>()
  const made = (i: number) => `ark_${i.toString(16).padStart(32, '0')}_${'x'.repeat(43)}`
  for (let i = 0; i < 2000; i++) {
    const { statusCode } = await ask(i % 2 === 0 ? made(i) : `wrong-${i}`, `192.0.2.${1 + (i % 4)}`)
    statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
  }
  t.same([...statuses.keys()].sort(), [401, 429])
  t.ok(statuses.get(401)! < 200, `${statuses.get(401)} were looked at`)
  t.equal((await entries('action=key.refused')).length, 1)
  t.equal(lines.filter((line) => line.includes('key refused')).length, statuses.get(401))
  t.equal((await ask(good, '192.0.2.1')).statusCode, 200, 'a good key of the same address does not wait')
  t.equal((await ask(FULL_KEY, '192.0.2.9')).statusCode, 200)
  reportCount(t, 2000, 'keys that nobody made')
})
