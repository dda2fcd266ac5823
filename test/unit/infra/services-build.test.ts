import { deepStrictEqual } from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { startOf } from '../../support/services-build.ts'

const ROOT = join(import.meta.dirname, '../../..')

test('a process of a test is started from the build of its run, and from the sources without one', () => {
  const before = process.env
  try {
    process.env = { ...before }
    delete process.env['TEST_SERVICES_FOLDER']
    const source = join(ROOT, 'services/cli/main.ts')
    deepStrictEqual(startOf('services/cli/main.ts', ['up']), [source, 'up'])
    process.env['TEST_SERVICES_FOLDER'] = '/build'
    deepStrictEqual(startOf('services/scorer/main.ts'), ['/build/services/scorer/main.js'])
  } finally {
    process.env = before
  }
})
