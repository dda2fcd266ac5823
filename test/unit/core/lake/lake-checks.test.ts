import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  fileResults,
  gapResult,
  offsetsResult,
  schemaFaults,
} from '../../../../services/core/lake/lake-checks.ts'
import { LAKE_COLUMNS } from '../../../../services/core/lake/lake-tables.ts'

const COUNTS = { first: 10, next: 20, ingested: 10, watermarks: 0, unreadable: 0 }

test('a range with a row per offset is ok, and any other is explained', () => {
  strictEqual(offsetsResult('labels', 1, COUNTS).status, 'ok')
  const other = offsetsResult('labels', 1, { ...COUNTS, ingested: 6, watermarks: 1, unreadable: 1 })
  strictEqual(other.status, 'explained')
  strictEqual(
    other.detail,
    '1 watermarks, 1 that cannot be decoded, 2 invisible to transactional consumers (transaction markers, aborted messages)',
  )
})

test('more messages than offsets cannot be explained', () => {
  strictEqual(offsetsResult('labels', 1, { ...COUNTS, ingested: 11 }).status, 'failed')
})

test('an accepted gap is recorded', () => {
  const { status, expected, range } = gapResult('transactions', 2, 5, 9)
  deepStrictEqual([status, expected, range], ['explained', 4, { partition: 2, first: 5, last: 8 }])
})

test('a missing, unknown or differently typed column is a schema fault', () => {
  const right = LAKE_COLUMNS.labels.map(({ name, type }): [string, string] => [
    name,
    type === 'TIMESTAMPTZ' ? 'TIMESTAMP WITH TIME ZONE' : type,
  ])
  deepStrictEqual(schemaFaults('labels', right), [])
  strictEqual(schemaFaults('labels', right.slice(1)).length, 1)
  strictEqual(schemaFaults('labels', [...right, ['other', 'VARCHAR']]).length, 1)
  strictEqual(
    schemaFaults(
      'labels',
      right.map(([name]) => [name, 'VARCHAR']),
    ).length,
    LAKE_COLUMNS.labels.filter(({ type }) => type !== 'VARCHAR').length,
  )
})

test('each wrong count fails its own check', () => {
  const file = {
    table: 'transactions' as const,
    path: 'p',
    rows: 4,
    ranges: [{ partition: 0, first: 1, last: 9, rows: 4 }],
  }
  const right = {
    rows: 4,
    nulls: 0,
    outOfRange: 0,
    otherDay: 0,
    repeated: 0,
    firstOffset: 1,
    lastOffset: 9,
  }
  const failed = (counts: Partial<typeof right>): readonly string[] =>
    fileResults(file, [], { ...right, ...counts })
      .filter(({ status }) => status === 'failed')
      .map(({ name }) => name)
  deepStrictEqual(failed({}), [])
  deepStrictEqual(failed({ rows: 3 }), ['rows'])
  deepStrictEqual(failed({ nulls: 1 }), ['nulls'])
  deepStrictEqual(failed({ outOfRange: 1 }), ['ranges'])
  deepStrictEqual(failed({ otherDay: 1 }), ['day'])
  deepStrictEqual(failed({ repeated: 1 }), ['duplicates'])
  deepStrictEqual(failed({ firstOffset: 2 }), ['first_offset'])
  deepStrictEqual(failed({ lastOffset: 8 }), ['last_offset'])
})
