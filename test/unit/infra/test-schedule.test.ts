import { deepStrictEqual } from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { ALONE, durationReport, LONG, schedule } from '../../support/schedule.ts'

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
      ['bench/a.test.ts', 'observability/d.test.ts'],
      [alone],
    ],
  )
  deepStrictEqual(groups.at(-1)?.concurrency, 1)
})

test('the report names slow files, the slowest first, and sums the others', () => {
  const seconds = new Map([
    ['unit/a.test.ts', 5],
    ['unit/b.test.ts', 0.5],
    ['integrity/c.test.ts', 81.25],
    ['unit/d.test.ts', 1],
  ])
  deepStrictEqual(durationReport(seconds).slice(1), [
    '    81.3 s  integrity/c.test.ts',
    '     5.0 s  unit/a.test.ts',
    '     1.5 s  2 files below 5 s each',
    '    87.8 s  all 4 files',
  ])
})
