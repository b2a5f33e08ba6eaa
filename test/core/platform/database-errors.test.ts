import t from 'tap'
import {
  isReadOnlyError,
  throwUnlessNotNow,
  throwUnlessUnavailable,
} from '../../../src/core/platform/database-errors.js'

const fromServer = (code: string) => Object.assign(new Error('it says no'), { code, severity: 'ERROR' })
const fromSocket = (code?: string) => Object.assign(new Error('it broke'), code === undefined ? {} : { code })

const NOT_NOW = [
  '08006',
  '08P01',
  '25006',
  '40001',
  '53100',
  '53200',
  '53300',
  '55P03',
  '57014',
  '57P01',
  '57P03',
  '58030',
]
const AT_FAULT = ['22P02', '23505', '40P01', '42601', '42P01', '25P02', '57P06']

t.test('what a server cannot do now is undecided, with its error as the cause', async (t) => {
  for (const code of NOT_NOW) {
    const cause = fromServer(code)
    for (const throwIf of [throwUnlessNotNow, throwUnlessUnavailable]) {
      t.throws(() => throwIf(cause), { name: 'Refusal', code: 'undecided', status: 503, cause }, code)
    }
  }
})

t.test('what is wrong with a statement stays what it is', async (t) => {
  for (const code of AT_FAULT) {
    for (const throwIf of [throwUnlessNotNow, throwUnlessUnavailable]) {
      t.throws(() => throwIf(fromServer(code)), { message: 'it says no', code }, code)
    }
  }
})

t.test(
  'of a server, an error that it did not send is undecided, also one whose code looks like an SQLSTATE',
  async (t) => {
    for (const error of [fromSocket(), fromSocket('ECONNRESET'), fromSocket('EPIPE')]) {
      t.throws(() => throwUnlessUnavailable(error), { name: 'Refusal', code: 'undecided', cause: error })
      t.throws(() => throwUnlessNotNow(error), { message: 'it broke' })
    }
  },
)

t.test('a read-only server is known by its SQLSTATE', async (t) => {
  t.ok(isReadOnlyError(fromServer('25006')))
  t.notOk(isReadOnlyError(fromServer('53100')))
  t.notOk(isReadOnlyError(fromSocket()))
})
