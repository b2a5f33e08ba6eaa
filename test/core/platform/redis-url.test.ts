import t from 'tap'
import { loadConfig } from '../../../src/core/platform/config.js'
import { parseSentinelUrl, redisUrls } from '../../../src/core/platform/redis-url.js'

t.test('a URL that names Sentinels has the name of the primary, a database and two accounts', async (t) => {
  t.match(parseSentinelUrl('redis+sentinel://a,b:26380,[::1]:1/mymaster'), {
    sentinels: [
      { host: 'a', port: 26379 },
      { host: 'b', port: 26380 },
      { host: '::1', port: 1 },
    ],
    name: 'mymaster',
    db: 0,
    username: undefined,
    password: undefined,
    tls: false,
  })
  t.match(
    parseSentinelUrl('rediss+sentinel://user:p%40ss@a/my%20master/3?sentinel_username=s&sentinel_password=t%26u'),
    {
      name: 'my master',
      db: 3,
      username: 'user',
      password: 'p@ss',
      sentinelUsername: 's',
      sentinelPassword: 't&u',
      tls: true,
    },
  )
  t.match(parseSentinelUrl('redis+sentinel://:secret@a/m'), { username: undefined, password: 'secret' })
})

t.test('several URLs are a cluster, and commas between Sentinels are none', async (t) => {
  t.same(redisUrls('redis://a:1, redis://b:2'), ['redis://a:1', 'redis://b:2'])
  t.same(redisUrls('redis+sentinel://a,b/m'), ['redis+sentinel://a,b/m'])
  t.same(redisUrls(''), [])
})

t.test('a wrong REDIS_URL is one line that says how it is written, without its password', async (t) => {
  const DATABASE_URL = 'postgres://localhost/relay'
  for (const [url, message] of [
    ['http://:hunter2@a', /starts with redis:\/\/ or rediss:\/\/.*redis\+sentinel:\/\//],
    ['redis://a,redis+sentinel://b/m', /starts with redis:\/\//],
    ['redis+sentinel://:hunter2@a:26379', /must look like redis\+sentinel:\/\/host:26379,host:26379\/name/],
    ['redis+sentinel://:hunter2@/m', /must look like/],
    ['redis+sentinel://:hunter2@a:x/m', /Sentinels as host:port with commas between, got a:x/],
    ['redis+sentinel://:hunter2@a:70000/m', /got a:70000/],
    ['redis+sentinel://:hunter2@a,,b/m', /host:port/],
    ['redis+sentinel://:hunter2@a/m?db=3', /takes sentinel_username and sentinel_password after its \?, not db/],
    ['redis+sentinel://:hunter2%@a/m', /%25/],
  ] as const) {
    t.throws(() => loadConfig({ DATABASE_URL, REDIS_URL: url }), { name: 'SettingError', message }, url)
    t.throws(() => loadConfig({ DATABASE_URL, REDIS_URL: url }), { message: /^REDIS_URL (?!.*hunter2)/ }, url)
  }
})
