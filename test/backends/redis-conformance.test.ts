import t from 'tap'
import { startCluster, startSentinels } from '../helpers/redis-servers.js'
import { runTests } from '../helpers/run-tests.js'
import { startPostgres } from '../helpers/servers.js'

const start = {
  'Sentinel (a primary, two replicas, three Sentinels)': startSentinels,
  'Cluster (six nodes)': startCluster,
}

for (const [name, startRedis] of Object.entries(start)) {
  t.test(`${name}: the queues' conformance suite`, async (t) => {
    const [postgres, redis] = await Promise.all([startPostgres(t), startRedis(t)])
    const servers = { TEST_DATABASE_URL: postgres.url, TEST_REDIS_URL: redis.url }
    const { code, output } = await runTests('test/core/platform/queues.test.ts', servers)
    t.equal(code, 0, output)
    t.match(output, /# \{ total: \d+, pass: \d+/)
  })
}
