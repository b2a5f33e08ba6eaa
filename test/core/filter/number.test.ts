import fc from 'fast-check'
import { LosslessNumber } from 'lossless-json'
import t from 'tap'
import { compareNumbers } from '../../../src/core/filter/number.js'
import { parseJson } from '../../../src/core/platform/json.js'

t.test('numbers compare as the decimals they are written as', async () => {
  const decimal = fc.record({
    minus: fc.boolean(),
    whole: fc.bigInt({ min: 0n, max: 10n ** 25n }),
    fraction: fc.string({ unit: fc.constantFrom('0', '1', '9'), maxLength: 25 }),
    exponent: fc.integer({ min: -30, max: 30 }),
  })
  type Decimal = { minus: boolean; whole: bigint; fraction: string; exponent: number }
  const textOf = ({ minus, whole, fraction, exponent }: Decimal) =>
    `${minus ? '-' : ''}${whole}${fraction && `.${fraction}`}e${exponent}`
  /** The number times 10^60, which is an integer. */
  const scaled = ({ minus, whole, fraction, exponent }: Decimal) =>
    BigInt(`${whole}${fraction}`) * 10n ** BigInt(60 + exponent - fraction.length) * (minus ? -1n : 1n)
  const few = fc.record({
    ...{ minus: fc.boolean() },
    whole: fc.constantFrom(0n, 1n, 10n),
    fraction: fc.constantFrom('', '0', '01'),
    exponent: fc.integer({ min: -2, max: 2 }),
  })
  fc.assert(
    fc.property(
      fc.oneof(
        fc.tuple(decimal, decimal),
        fc.tuple(few, few),
        decimal.map((one) => [one, one] as const),
      ),
      ([a, b]) => {
        const [left, right] = [new LosslessNumber(textOf(a)), new LosslessNumber(textOf(b))]
        const order = compareNumbers(left, right)
        const mixed = compareNumbers(parseJson(textOf(a)) as number, right)
        if (Math.sign(mixed) !== Math.sign(order)) return false
        const [x, y] = [scaled(a), scaled(b)]
        return Math.sign(order) === (x < y ? -1 : x > y ? 1 : 0)
      },
    ),
    { numRuns: 1000 },
  )
})
