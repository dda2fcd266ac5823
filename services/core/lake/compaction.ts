// Plans which files of a lake are merged. Each merge leaves fewer files, so repeated planning ends.

import type { FileRange, LakeFile, LakeState } from './lake-log.ts'
import type { LakeTable } from './lake-tables.ts'

/** Files of one table and day to be merged into one. */
export interface Merge {
  readonly table: LakeTable
  readonly day: string
  readonly files: readonly LakeFile[]
}

export interface CompactionRule {
  /** Days with fewer files are left alone; at least 2. */
  readonly filesMin: number
  /** Limit on the rows of a merged file. */
  readonly rowsMax: number
}

/** The merges to do, in order of table and day. */
export function planCompaction(state: LakeState, rule: CompactionRule): readonly Merge[] {
  const days = new Map<string, LakeFile[]>()
  for (const file of state.files.values()) {
    const key = `${file.table}/${file.day}`
    const files = days.get(key)
    if (files === undefined) days.set(key, [file])
    else files.push(file)
  }
  return [...days.entries()]
    .sort(([left], [right]) => compare(left, right))
    .filter(([, files]) => files.length >= Math.max(2, rule.filesMin))
    .flatMap(([, files]) => mergesOf(files, rule.rowsMax))
}

/** Groups neighbours by name up to the limit on rows. */
function mergesOf(files: readonly LakeFile[], rowsMax: number): readonly Merge[] {
  const sorted = files.toSorted((left, right) => compare(left.path, right.path))
  const groups: LakeFile[][] = []
  let rows = Infinity
  for (const file of sorted) {
    if (rows + file.rows > rowsMax) {
      groups.push([])
      rows = 0
    }
    groups.at(-1)?.push(file)
    rows += file.rows
  }
  return groups.flatMap((group) => {
    const [first] = group
    if (first === undefined || group.length < 2) return []
    return [{ table: first.table, day: first.day, files: group }]
  })
}

/** Ranges of the merged file, one per partition. */
export function mergeRanges(files: readonly LakeFile[]): readonly FileRange[] {
  const merged = new Map<number, FileRange>()
  for (const range of files.flatMap(({ ranges }) => ranges)) {
    const known = merged.get(range.partition)
    merged.set(
      range.partition,
      known === undefined
        ? range
        : {
            partition: range.partition,
            first: Math.min(known.first, range.first),
            last: Math.max(known.last, range.last),
            rows: known.rows + range.rows,
          },
    )
  }
  return [...merged.values()].sort((left, right) => left.partition - right.partition)
}

function compare(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0
}
