import t from 'tap'
import { keepCertificate, listCertificates } from '../../../src/core/sns/certificate-store.js'
import { borrowTestDatabase } from '../../helpers/backends.js'

t.test('certificates are kept by URL until they end', async (t) => {
  const database = await borrowTestDatabase(t)
  const now = new Date('2026-01-01T00:00:00Z')
  const at = (days: number) => new Date(now.getTime() + days * 86_400_000)
  const keep = (url: string, pem: string, days: number, when = now) =>
    keepCertificate(database, { url, pem, validTo: at(days) }, when)
  await keep('https://a', 'first', 10)
  await keep('https://a', 'second', 20)
  await keep('https://b', 'third', 5)
  const list = async (when: Date) => (await listCertificates(database, when)).sort((a, b) => (a.url < b.url ? -1 : 1))
  t.same(await list(now), [
    { url: 'https://a', pem: 'second', validTo: at(20) },
    { url: 'https://b', pem: 'third', validTo: at(5) },
  ])
  t.match(await list(at(6)), [{ url: 'https://a' }])
  for (let i = 0; i < 210; i++) await keep(`https://c/${i}`, 'pem', 30 + i, at(6))
  const kept = await list(at(6))
  t.equal(kept.length, 200, 'there is no end of strangers, but of rows')
  t.equal(
    kept.some(({ url }) => url === 'https://a'),
    false,
    'what ends first goes first',
  )
})
