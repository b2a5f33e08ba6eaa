import neostandard from 'neostandard'

export default [
  { ignores: ['dist/', 'data/', '.tap/', 'examples/'] },
  ...neostandard({ ts: true, noStyle: true }),
  { files: ['**/*.ts'], rules: { '@typescript-eslint/no-explicit-any': 'error' } },
]
