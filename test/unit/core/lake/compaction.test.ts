import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { mergeRanges, planCompaction } from '../../../../services/core/lake/compaction.ts'
import {
  type LakeFile,
  type LakeState,
  mergedPath,
  NO_LAKE,
} from '../../../../services/core/lake/lake-log.ts'

const files = fc.array(
  fc.record({ day: fc.integer({ min: 1, max: 3 }), rows: fc.integer({ min: 1, max: 60 }) }),
  { maxLength: 40 },
)

function stateOf(all: readonly LakeFile[]): LakeState {
  return { ...NO_LAKE, files: new Map(all.map((file) => [file.path, file])) }
}

function fileOf(day: number, rows: number, index: number): LakeFile {
  const name = `2026-01-0${day}`
  return {
    table: 'labels',
    day: name,
    path: `labels/day=${name}/part-p00-${String(index).padStart(3, '0')}.parquet`,
    rows,
    bytes: rows,
    sha256: '',
    ranges: [{ partition: 0, first: index * 100, last: index * 100 + rows - 1, rows }],
  }
}

test('merging keeps every row once, makes no file too large, and ends when repeated', () => {
  fc.assert(
    fc.property(files, fc.integer({ min: 1, max: 100 }), (given, rowsMax) => {
      const before = given.map(({ day, rows }, index) => fileOf(day, rows, index))
      const rule = { filesMin: 2, rowsMax }
      const merges = planCompaction(stateOf(before), rule)
      const gone = new Set(merges.flatMap((merge) => merge.files.map(({ path }) => path)))
      strictEqual(
        gone.size,
        merges.reduce((sum, merge) => sum + merge.files.length, 0),
      )
      const made = merges.map(({ table, day, files: parts }, index): LakeFile => ({
        table,
        day,
        path: mergedPath(table, day, index, 0),
        rows: parts.reduce((sum, { rows }) => sum + rows, 0),
        bytes: 0,
        sha256: '',
        ranges: mergeRanges(parts),
      }))
      for (const { rows, ranges } of made) {
        ok(rows <= rowsMax)
        strictEqual(
          ranges.reduce((sum, range) => sum + range.rows, 0),
          rows,
        )
      }
      const after = [...before.filter(({ path }) => !gone.has(path)), ...made]
      const rowsOf = (all: readonly LakeFile[]): number =>
        all.reduce((sum, { rows }) => sum + rows, 0)
      strictEqual(rowsOf(after), rowsOf(before))
      // A file too large for a merge may have stood between two small ones: then there is more, but it ends.
      let state = stateOf(after)
      for (let round = 0; planCompaction(state, rule).length > 0; round += 1) {
        ok(round < before.length)
        const [merge] = planCompaction(state, rule)
        const rest = [...state.files.values()].filter(
          (file) => merge?.files.includes(file) !== true,
        )
        const rows = merge?.files.reduce((sum, file) => sum + file.rows, 0) ?? 0
        state = stateOf([...rest, { ...fileOf(1, rows, 500 + round), day: merge?.day ?? '' }])
      }
    }),
  )
})

test('days with fewer files than the minimum are left alone', () => {
  const state = stateOf([fileOf(1, 5, 0), fileOf(1, 5, 1), fileOf(2, 5, 2)])
  deepStrictEqual(
    planCompaction(state, { filesMin: 2, rowsMax: 100 }).map(({ day, files: parts }) => [
      day,
      parts.length,
    ]),
    [['2026-01-01', 2]],
  )
  deepStrictEqual(planCompaction(state, { filesMin: 3, rowsMax: 100 }), [])
})
