import { deepStrictEqual } from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ALONE, LONG, schedule } from '../../support/schedule.ts'

const TEST = join(import.meta.dirname, '../..')

test('every file that the schedule names is there', () => {
  deepStrictEqual(
    [...Object.keys(ALONE), ...LONG].filter((file) => !existsSync(join(TEST, file))),
    [],
  )
})

test('every file runs once, long ones first, and what stands no company runs alone at last', () => {
  const [long = ''] = LONG
  const [alone = ''] = Object.keys(ALONE)
  const groups = schedule([
    'bench/a.test.ts',
    'integration/b.test.ts',
    'unit/c.test.ts',
    alone,
    long,
    'observability/d.test.ts',
  ])
  deepStrictEqual(
    groups.map(({ files }) => files),
    [
      ['unit/c.test.ts'],
      [long, 'integration/b.test.ts'],
      ['bench/a.test.ts', alone, 'observability/d.test.ts'],
    ],
  )
  deepStrictEqual(groups.at(-1)?.concurrency, 1)
})
