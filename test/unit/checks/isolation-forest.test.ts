// Goal: the forest of the isolation study is that of the paper. Method: compare with a slow one, of nested splits and
// lists of points, that draws the same random numbers in the same order; and tables whose outlier is known.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomOf } from '../../../services/trainer/statistics.ts'
import {
  averagePath,
  growForest,
  isolationScores,
  type Table,
} from '../../checks/isolation-forest.ts'

const COLUMNS = 3
type Point = readonly number[]

/** Points around 0, the last column in five steps, so that many values are equal. */
function cloud(rowCount: number, seed: number): readonly Point[] {
  const next = randomOf(seed)
  return Array.from({ length: rowCount }, () => [
    next() + next() + next() - 1.5,
    1_000 * next(),
    Math.floor(5 * next()),
  ])
}

function tableOf(points: readonly Point[]): Table {
  return { values: Float64Array.from(points.flat()), columnCount: COLUMNS }
}

type Node = { column: number; cut: number; left: Node; right: Node } | null

function slowTree(points: readonly Point[], depthLeft: number, next: () => number): Node {
  const spans = [0, 1, 2]
    .map((column) => ({ column, seen: points.map((point) => point[column] ?? NaN) }))
    .map(({ column, seen }) => ({ column, low: Math.min(...seen), high: Math.max(...seen) }))
    .filter(({ low, high }) => depthLeft > 0 && high > low)
  const picked = spans[Math.floor(next() * spans.length)]
  if (picked === undefined) return null
  const { column, low, high } = picked
  const cut = low + next() * (high - low)
  const isLeft = (point: Point): boolean => (point[column] ?? NaN) <= cut
  const left = slowTree(points.filter(isLeft), depthLeft - 1, next)
  const right = slowTree(
    points.filter((point) => !isLeft(point)),
    depthLeft - 1,
    next,
  )
  return { column, cut, left, right }
}

/** Walks down with the points on the same path: one step per split, plus c of the points left at the end. */
function slowPath(node: Node, points: readonly Point[], walker: Point): number {
  if (node === null) return slowAverage(points.length)
  const { column, cut } = node
  const isLeft = (point: Point): boolean => (point[column] ?? NaN) <= cut
  const side = isLeft(walker)
  const along = points.filter((point) => isLeft(point) === side)
  return 1 + slowPath(side ? node.left : node.right, along, walker)
}

/** A random first split leaves 1 to n - 1 rows on its left, each equally likely; the same again on both sides. */
function slowAverage(rows: number, known = new Map<number, number>()): number {
  if (rows < 2) return 0
  const kept = known.get(rows)
  if (kept !== undefined) return kept
  let sum = 0
  for (let left = 1; left < rows; left += 1) {
    const right = rows - left
    sum += (left * slowAverage(left, known) + right * slowAverage(right, known)) / rows
  }
  const average = 1 + sum / (rows - 1)
  known.set(rows, average)
  return average
}

test('the usual path length is the mean over all ways to cut at random', () => {
  const known = new Map<number, number>()
  for (const rows of [0, 1, 2, 3, 10, 100, 256]) {
    assert.ok(Math.abs(averagePath(rows) - slowAverage(rows, known)) < 1e-9, `${rows} rows`)
  }
})

test('scores are those of a slow forest that walks down with all points of the sample', () => {
  const points = cloud(300, 1)
  const others = [...cloud(40, 2), [9, -50, 7], [0, 500, 2]]
  const [seed, trees, sampleRows] = [5, 7, 60]
  const forest = growForest(tableOf(points), { seed, trees, sampleRows })

  const next = randomOf(seed)
  let order = [...points]
  const paths = others.map(() => 0)
  for (let tree = 0; tree < trees; tree += 1) {
    for (let index = 0; index < sampleRows; index += 1) {
      const other = index + Math.floor(next() * (order.length - index))
      order = order.with(index, order[other] ?? []).with(other, order[index] ?? [])
    }
    const sample = order.slice(0, sampleRows)
    const root = slowTree(sample, 6, next)
    for (const [at, walker] of others.entries()) {
      paths[at] = (paths[at] ?? 0) + slowPath(root, sample, walker)
    }
  }
  const expected = paths.map((sum) => 2 ** -(sum / trees / slowAverage(sampleRows)))
  const scores = isolationScores(forest, tableOf(others))
  for (const [at, score] of scores.entries()) {
    assert.ok(Math.abs(score - (expected[at] ?? NaN)) < 1e-12, `row ${at}`)
  }
})

test('of the rows of a sample, the one far from all others in a single column has the highest score', () => {
  const points = [...cloud(255, 3), [40, 500, 2]]
  const forest = growForest(tableOf(points), { seed: 1, trees: 100, sampleRows: 256 })
  const scores = isolationScores(forest, tableOf(points))
  assert.equal(scores.indexOf(Math.max(...scores)), points.length - 1)
})

test('the same seed gives the same forest, another seed another one', () => {
  const table = tableOf(cloud(500, 4))
  const options = { seed: 1, trees: 10, sampleRows: 64 }
  assert.deepEqual(growForest(table, options), growForest(table, options))
  assert.notDeepEqual(growForest(table, options), growForest(table, { ...options, seed: 2 }))
})

test('rows that are all alike are all as usual, and end at the root', () => {
  const table = tableOf(Array.from({ length: 50 }, () => [1, 2, 3]))
  const forest = growForest(table, { seed: 1, trees: 10, sampleRows: 32 })
  for (const score of isolationScores(forest, table)) assert.ok(Math.abs(score - 0.5) < 1e-12)
})

test('a forest of too few rows and rows of other columns are refused', () => {
  const table = tableOf(cloud(20, 5))
  assert.throws(() => growForest(tableOf(cloud(1, 5)), { seed: 1, trees: 1, sampleRows: 8 }))
  const forest = growForest(table, { seed: 1, trees: 1, sampleRows: 8 })
  assert.throws(() => isolationScores(forest, { values: table.values, columnCount: 2 }))
})
