import neostandard from 'neostandard'

export default [
  { ignores: ['dist/', 'data/', '.tap/', 'examples/'] },
  ...neostandard({ ts: true, noStyle: true }),
  {
    files: ['**/*.ts'],
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      // a schema and the type derived from it share a name: TypeScript itself refuses a real redeclaration
      'no-redeclare': 'off',
      '@typescript-eslint/no-redeclare': 'off',
      // `void` says that a result is dropped on purpose
      'no-void': 'off',
    },
  },
]
