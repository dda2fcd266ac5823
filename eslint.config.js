import tseslint from 'typescript-eslint'

const safeCalls = [{ from: 'package', package: 'node:test', name: ['test', 'describe', 'it'] }]

export default tseslint.config(
  { ignores: ['dist', '.sluice', 'node_modules', 'services/platform/compiled-net/kernel'] },
  {
    files: ['services/**/*.ts', 'tools/**/*.ts', 'test/**/*.ts', 'docs/examples/**/client.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'max-lines-per-function': ['error', { max: 70, skipComments: true, skipBlankLines: true }],
      'max-params': ['error', 5],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-floating-promises': ['error', { allowForKnownSafeCalls: safeCalls }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
    },
  },
  // Long tests are fine; the benchmark helper prints its one line.
  { files: ['test/**/*.ts'], rules: { 'max-lines-per-function': 'off', 'no-console': 'off' } },
)
