// An isolation forest (Liu, Ting, Zhou 2008, "Isolation Forest"): trees that split a small sample of rows at random
// until each row is alone. A row isolated by few splits is unusual, whatever its label. The forest belongs to the
// isolation study, not to Sluice.

import { randomOf } from '../../services/trainer/statistics.ts'

/** Rows of a tree, as in the paper. */
export const SAMPLE_ROWS = 256

/** Numbers by row; none is absent. */
export interface Table {
  readonly values: Float64Array
  readonly columnCount: number
}

export interface ForestOptions {
  readonly seed: number
  readonly trees: number
  readonly sampleRows: number
}

/** Arrays are by node, the root first and each left child right after its parent. */
interface Tree {
  /** LEAF where a row's way ends. */
  readonly columns: number[]
  /** Values up to it go left; at a leaf, the path length of the rows that end here. */
  readonly thresholds: number[]
  readonly rights: number[]
}

export interface IsolationForest {
  readonly columnCount: number
  readonly sampleRows: number
  readonly trees: readonly Tree[]
}

const LEAF = -1

/** The same table, options and seed give the same forest. */
export function growForest(
  table: Table,
  { seed, trees, sampleRows }: ForestOptions,
): IsolationForest {
  const rowCount = rowCountOf(table)
  const size = Math.min(sampleRows, rowCount)
  if (size < 2 || trees < 1) throw new Error('A forest takes at least one tree of two rows.')
  const next = randomOf(seed)
  const order = Uint32Array.from({ length: rowCount }, (_, row) => row)
  return {
    columnCount: table.columnCount,
    sampleRows: size,
    trees: Array.from({ length: trees }, () => growTree(table, drawRows(order, size, next), next)),
  }
}

/** 2 to the power of -(mean path length / its mean over random trees), by row: near 1 is unusual, below 0.5 is usual. */
export function isolationScores(forest: IsolationForest, table: Table): Float64Array {
  if (table.columnCount !== forest.columnCount) throw new Error('The forest has other columns.')
  const scores = new Float64Array(rowCountOf(table))
  for (const tree of forest.trees) {
    for (let row = 0; row < scores.length; row += 1) {
      scores[row] = (scores[row] ?? 0) + pathLength(tree, table, row)
    }
  }
  const baseline = averagePath(forest.sampleRows) * forest.trees.length
  return scores.map((lengths) => 2 ** (-lengths / baseline))
}

/** Mean path length over random trees of so many rows, the paper's c(n), with the harmonic number summed up exactly. */
export function averagePath(rows: number): number {
  if (rows < 2) return 0
  let harmonic = 0
  for (let each = 1; each < rows; each += 1) harmonic += 1 / each
  return 2 * harmonic - (2 * (rows - 1)) / rows
}

function rowCountOf({ values, columnCount }: Table): number {
  return values.length / columnCount
}

/** The first rows of a shuffle that stops once it has enough; `order` stays a permutation, so it serves again. */
function drawRows(order: Uint32Array, count: number, next: () => number): Uint32Array {
  for (let index = 0; index < count; index += 1) {
    const other = index + Math.floor(next() * (order.length - index))
    const kept = order[index] ?? 0
    order[index] = order[other] ?? 0
    order[other] = kept
  }
  return order.slice(0, count)
}

function growTree(table: Table, sample: Uint32Array, next: () => number): Tree {
  const tree: Tree = { columns: [], thresholds: [], rights: [] }
  const depthMax = Math.ceil(Math.log2(sample.length))
  growNode({ tree, table, depthMax, next }, sample, 0)
  return tree
}

interface Growth {
  readonly tree: Tree
  readonly table: Table
  readonly depthMax: number
  readonly next: () => number
}

/** Splits at random between the extremes of a column picked at random among those that differ here. */
function growNode(growth: Growth, rows: Uint32Array, depth: number): void {
  const { tree, table, depthMax, next } = growth
  const node = tree.columns.length
  const differing = depth < depthMax ? differingColumns(table, rows) : []
  const picked = differing[Math.floor(next() * differing.length)]
  if (picked === undefined) {
    tree.columns.push(LEAF)
    tree.thresholds.push(depth + averagePath(rows.length))
    tree.rights.push(LEAF)
    return
  }
  const { column, low, high } = picked
  const between = low + next() * (high - low)
  const threshold = between < high ? between : low
  tree.columns.push(column)
  tree.thresholds.push(threshold)
  tree.rights.push(LEAF)
  const { values, columnCount } = table
  const isLeft = (row: number): boolean => (values[row * columnCount + column] ?? 0) <= threshold
  growNode(growth, rows.filter(isLeft), depth + 1)
  tree.rights[node] = tree.columns.length
  const right = rows.filter((row) => !isLeft(row))
  growNode(growth, right, depth + 1)
}

interface Extremes {
  readonly column: number
  readonly low: number
  readonly high: number
}

function differingColumns({ values, columnCount }: Table, rows: Uint32Array): readonly Extremes[] {
  const differing: Extremes[] = []
  for (let column = 0; column < columnCount; column += 1) {
    let low = Infinity
    let high = -Infinity
    for (const row of rows) {
      const value = values[row * columnCount + column] ?? 0
      if (value < low) low = value
      if (value > high) high = value
    }
    if (low < high) differing.push({ column, low, high })
  }
  return differing
}

function pathLength(
  { columns, thresholds, rights }: Tree,
  { values, columnCount }: Table,
  row: number,
): number {
  const from = row * columnCount
  let node = 0
  for (;;) {
    const column = columns[node] ?? LEAF
    const threshold = thresholds[node] ?? 0
    if (column === LEAF) return threshold
    node = (values[from + column] ?? 0) <= threshold ? node + 1 : (rights[node] ?? 0)
  }
}
