import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import {
  createKeyCheck,
  createKeyFingerprint,
  createSealer,
  fingerprint,
  loadApiKeys,
  loadEncryptionKey,
} from '../../../src/core/platform/secrets.js'

const KEY = Buffer.alloc(32, 7)

t.test('the encryption key', async (t) => {
  t.test('is the setting if it is set, and no file is made', async (t) => {
    const dataDir = t.testdir({})
    t.same(await loadEncryptionKey({ encryptionKey: KEY, dataDir }), KEY)
    t.same(await readdir(dataDir), [])
  })

  t.test('is made at first start, readable by its owner alone, and read at later starts', async (t) => {
    const dataDir = join(t.testdir({}), 'not', 'there', 'yet')
    const key = await loadEncryptionKey({ encryptionKey: undefined, dataDir })
    t.equal(key.length, 32)
    t.same(await loadEncryptionKey({ encryptionKey: undefined, dataDir }), key)
    const path = join(dataDir, 'encryption-key')
    t.equal(await readFile(path, 'utf8'), `${key.toString('base64')}\n`, 'as ENCRYPTION_KEY would be written')
    t.equal((await stat(path)).mode & 0o777, 0o600)
    t.same(await readdir(dataDir), ['encryption-key'], 'no draft is left')
  })

  t.test('is the same for many processes that start together', async (t) => {
    const dataDir = t.testdir({})
    const starting = Array.from({ length: 20 }, () => loadEncryptionKey({ encryptionKey: undefined, dataDir }))
    const keys = await Promise.all(starting)
    t.equal(new Set(keys.map((key) => key.toString('hex'))).size, 1)
    t.same(await readdir(dataDir), ['encryption-key'])
  })

  t.test('stops the start with one line when its file is damaged, and the file is not changed', async (t) => {
    for (const content of [
      '',
      'c2hvcnQ=',
      'not base64 at all, and long enough to be 32 bytes',
      `${KEY.toString('hex')}`,
    ]) {
      const dataDir = t.testdir({ 'encryption-key': content })
      await t.rejects(loadEncryptionKey({ encryptionKey: undefined, dataDir }), {
        name: 'SettingError',
        message: /^\S+encryption-key is damaged: restore it from a backup or set ENCRYPTION_KEY .*$/,
      })
      t.equal(await readFile(join(dataDir, 'encryption-key'), 'utf8'), content)
    }
  })

  t.test('stops the start with one line when its directory cannot be used', async (t) => {
    const dataDir = join(t.testdir({ file: '' }), 'file')
    await t.rejects(loadEncryptionKey({ encryptionKey: undefined, dataDir }), {
      name: 'SettingError',
      message: /^\S+encryption-key cannot be used: (ENOTDIR|EEXIST).*$/,
    })
  })
})

t.test('the API keys', async (t) => {
  t.test('are those of the setting if it is set', async (t) => {
    const dataDir = t.testdir({})
    const keys = ['a'.repeat(16), 'b'.repeat(16)]
    t.same(await loadApiKeys({ apiKeys: keys, dataDir }), { keys, file: undefined })
    t.same(await readdir(dataDir), [])
  })

  t.test('are one key made at first start, which only the process that made it prints', async (t) => {
    const dataDir = t.testdir({})
    const starting = await Promise.all(Array.from({ length: 5 }, () => loadApiKeys({ apiKeys: [], dataDir })))
    const [key] = starting[0]?.keys ?? []
    t.match(key, /^ark_[\w-]{43}$/)
    t.ok(starting.every(({ keys }) => keys.length === 1 && keys[0] === key))
    t.equal(starting.filter(({ file }) => file?.newKey === key).length, 1)
    t.same(await loadApiKeys({ apiKeys: [], dataDir }), {
      keys: [key],
      file: { path: join(dataDir, 'api-key'), newKey: undefined },
    })
    t.equal((await stat(join(dataDir, 'api-key'))).mode & 0o777, 0o600)
  })

  t.test('stop the start when their file is damaged, so that an empty key is not accepted', async (t) => {
    for (const content of ['', '\n', 'ark_short', 'two\nlines']) {
      const dataDir = t.testdir({ 'api-key': content })
      await t.rejects(loadApiKeys({ apiKeys: [], dataDir }), {
        name: 'SettingError',
        message: /^\S+api-key is damaged: remove it and a new key is made, or set API_KEYS$/,
      })
    }
  })
})

t.test('a sealed value', async (t) => {
  const sealer = createSealer(KEY)

  t.test('opens with its key and context, whatever its text', async () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (plain, context) => {
        return createSealer(KEY).open(sealer.seal(plain, context), context) === plain
      }),
    )
  })

  t.test('opens from a Uint8Array, as PGlite returns it', async (t) => {
    t.equal(sealer.open(new Uint8Array(sealer.seal('whsec_x', 'wh_1')), 'wh_1'), 'whsec_x')
  })

  t.test('is different every time and does not reveal the text', async (t) => {
    const [one, two] = [sealer.seal('whsec_secret', 'wh_1'), sealer.seal('whsec_secret', 'wh_1')]
    t.notSame(one, two)
    t.notOk(one.includes('whsec'))
    t.equal(one[0], 1, 'its first byte is the version')
  })

  t.test('does not open with another context or key, damaged or truncated', async (t) => {
    const message = 'the sealed value of wh_1 does not open: another key, another context, or damaged'
    const sealed = sealer.seal('whsec_secret', 'wh_1')
    t.throws(() => sealer.open(sealer.seal('whsec_secret', 'wh_2'), 'wh_1'), { message })
    t.throws(() => createSealer(randomBytes(32)).open(sealed, 'wh_1'), { message })
    for (let i = 0; i < sealed.length; i++) {
      const damaged = Buffer.from(sealed)
      damaged.writeUInt8(damaged.readUInt8(i) ^ 1, i)
      t.throws(() => sealer.open(damaged, 'wh_1'), { message }, `byte ${i}`)
      t.throws(() => sealer.open(sealed.subarray(0, i), 'wh_1'), { message }, `${i} bytes`)
    }
  })
})

t.test('a fingerprint is the same for the same key alone and does not reveal it', async (t) => {
  t.equal(fingerprint(KEY), fingerprint(Buffer.from(KEY)))
  t.not(fingerprint(KEY), fingerprint(Buffer.alloc(32, 8)))
  t.match(fingerprint(KEY), /^[0-9a-f]{64}$/)
  t.notOk(fingerprint(KEY).includes(KEY.toString('hex').slice(0, 8)))
})

t.test('a key check accepts the known keys and nothing else', async (t) => {
  const passes = createKeyCheck(['ark_first-key-000', 'second-key-=/+~!'])
  for (const header of ['Bearer ark_first-key-000', 'bearer  ark_first-key-000', 'BEARER second-key-=/+~!']) {
    t.ok(passes(header), header)
  }
  const wrong = ['', 'Bearer', 'Bearer ', 'ark_first-key-000', 'Basic ark_first-key-000', 'Bearer ark_first-key-00']
  for (const header of [
    ...wrong,
    'Bearer ark_first-key-0000',
    'Bearer ark_first-key-000 x',
    'Bearer ARK_FIRST-KEY-000',
  ]) {
    t.notOk(passes(header), header)
  }
  t.notOk(passes(undefined))
  t.notOk(createKeyCheck([])('Bearer '), 'without keys, no header passes')
  t.notOk(createKeyCheck([])('Bearer undefined'))
})

t.test('the fingerprint of an API key tells keys apart, and differs by the encryption key', async (t) => {
  const of = createKeyFingerprint(Buffer.alloc(32, 1))
  t.equal(of('a-short-key'), of('a-short-key'))
  t.not(of('a-short-key'), of('another-key'))
  t.not(of('a-short-key'), createKeyFingerprint(Buffer.alloc(32, 2))('a-short-key'))
})
