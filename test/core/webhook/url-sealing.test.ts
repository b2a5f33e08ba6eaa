import t from 'tap'
import { createSealer } from '../../../src/core/platform/secrets.js'
import { sealUrls } from '../../../src/core/webhook/url-sealing.js'
import { listTargets } from '../../../src/core/webhook/webhook-store.js'
import { createTestApp } from '../../helpers/app.js'
import { createTestDatabaseUrl, createTestDataDir } from '../../helpers/backends.js'
import { openDatabase } from '../../../src/core/platform/database.js'

const KEY = Buffer.alloc(32, 7)
const URLS = Array.from({ length: 230 }, (_, i) => `https://hooks.example.com/services/planted-${i}/secret`)

t.test('the URLs of an older version are sealed at the start, and what is shown does not reveal them', async (t) => {
  const DATABASE_URL = await createTestDatabaseUrl(t)
  const DATA_DIR = await createTestDataDir(t)
  const where = { DATA_DIR, ENCRYPTION_KEY: KEY.toString('base64'), ...(DATABASE_URL ? { DATABASE_URL } : {}) }
  const before = await createTestApp(t, where)
  for (const url of URLS) t.equal((await before.api('POST', '/v1/webhooks', { url })).statusCode, 201)
  await before.close()

  const sealer = createSealer(KEY)
  const database = await openDatabase({ databaseUrl: DATABASE_URL, dataDir: DATA_DIR })
  const stored = async () => (await database.query<object>('select * from webhooks')).rows
  t.notMatch(JSON.stringify(await stored()), 'planted')
  // as an older version left them
  for (const { id, url } of await listTargets(database, sealer)) {
    await database.query('update webhooks set url = $2, sealed_url = null where id = $1', [id, url])
  }
  t.match(JSON.stringify(await stored()), 'planted')
  t.same(
    (await listTargets(database, sealer)).map(({ url }) => url),
    URLS,
    'until then they are read as they are',
  )
  await database.close()

  const after = await createTestApp(t, where)
  const list = (await after.api('GET', '/v1/webhooks?limit=200')).json<{ data: { id: string; url: string }[] }>()
  t.equal(list.data[0]!.url, 'https://hooks.example.com/...cret')
  t.match((await after.api('GET', `/v1/webhooks/${list.data[0]!.id}/secret`)).json(), { url: URLS.at(-1) })
  await after.close()

  const again = await openDatabase({ databaseUrl: DATABASE_URL, dataDir: DATA_DIR })
  t.teardown(() => again.close())
  t.notMatch(JSON.stringify((await again.query<object>('select * from webhooks')).rows), 'planted')
  t.same(
    (await listTargets(again, sealer)).map(({ url }) => url),
    URLS,
  )
  t.equal(await sealUrls(again, sealer), 0, 'there is nothing left to do')
})
