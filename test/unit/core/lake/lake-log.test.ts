import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import {
  applyCommits,
  checkpointOf,
  type ErasedRows,
  type LakeCommit,
  type LakeFile,
  NO_LAKE,
  parseCommit,
  stateOfCheckpoint,
} from '../../../../services/core/lake/lake-log.ts'

const fileOf = (name: string): LakeFile => ({
  table: 'transactions',
  path: `transactions/day=2026-01-01/${name}.parquet`,
  day: '2026-01-01',
  rows: 3,
  bytes: 9,
  sha256: 'ab',
  ranges: [{ partition: 0, first: 0, last: 2, rows: 3 }],
})

function commitOf(sequence: number, changes: Partial<LakeCommit> = {}): LakeCommit {
  return {
    format: 1,
    sequence,
    atMs: 1,
    kind: 'ingest',
    writer: 'a test',
    added: [],
    removed: [],
    next: {},
    ...changes,
  }
}

const erasedOf = (id: string): ErasedRows => ({
  id,
  reference: 'request 1',
  files: 2,
  rows: { transactions: 3, decisions: 4, labels: 1, dead_letters: 0 },
})

const isDamaged = (error: unknown): boolean => isSluiceError(error, 'SLUICE_LAKE_DAMAGED')

test('a commit adds and removes files and advances offsets atomically', () => {
  const state = applyCommits(NO_LAKE, [
    commitOf(0, { topicPrefix: 'a.' }),
    commitOf(1, { added: [fileOf('a'), fileOf('b')], next: { 'transactions/0': 3 } }),
    commitOf(2, { added: [fileOf('c')], removed: [fileOf('a').path, fileOf('b').path] }),
  ])
  deepStrictEqual([...state.files.keys()], [fileOf('c').path])
  strictEqual(state.next.get('transactions/0'), 3)
  strictEqual(state.topicPrefix, 'a.')
  strictEqual(state.sequence, 2)
})

test('missing, backward, repeated or contradictory commits are found', () => {
  const begun = applyCommits(NO_LAKE, [
    commitOf(0, { added: [fileOf('a')], next: { 'transactions/0': 3 } }),
  ])
  for (const commit of [
    commitOf(2),
    commitOf(1, { next: { 'transactions/0': 2 } }),
    commitOf(1, { added: [fileOf('a')] }),
    commitOf(1, { removed: [fileOf('b').path] }),
  ]) {
    throws(() => applyCommits(begun, [commit]), isDamaged)
  }
})

test('a checkpoint equals the state after its commits', () => {
  const state = applyCommits(NO_LAKE, [
    commitOf(0, { topicPrefix: '' }),
    commitOf(1, {
      added: [fileOf('a')],
      next: { 'labels/3': 7 },
      sources: [{ name: 'a.csv', sha256: 'cd' }],
    }),
    commitOf(2, { kind: 'erase', erased: erasedOf('x') }),
  ])
  const text = JSON.stringify(checkpointOf(state))
  deepStrictEqual(stateOfCheckpoint('c', JSON.parse(text)), state)
})

test('the commits of one erasure are one entry with all rows', () => {
  const { erasures } = applyCommits(NO_LAKE, [
    commitOf(0, { kind: 'erase', atMs: 10, erased: erasedOf('x') }),
    commitOf(1, { kind: 'open', atMs: 11 }),
    commitOf(2, { kind: 'erase', atMs: 12, erased: erasedOf('x') }),
    commitOf(3, { kind: 'erase', atMs: 13, erased: erasedOf('y') }),
  ])
  const rows = { transactions: 6, decisions: 8, labels: 2, dead_letters: 0 }
  deepStrictEqual(erasures, [
    { ...erasedOf('x'), files: 4, rows, firstMs: 10, lastMs: 12, commit: 2 },
    { ...erasedOf('y'), firstMs: 13, lastMs: 13, commit: 3 },
  ])
})

test('a commit is read back unchanged, and an invalid one is refused', () => {
  const commit = commitOf(4, {
    added: [fileOf('a')],
    next: { 'transactions/0': 3 },
    sources: [],
    erased: erasedOf('x'),
  })
  const read = JSON.parse(JSON.stringify(commit)) as Record<string, unknown>
  deepStrictEqual(parseCommit('x', read), commit)
  for (const broken of [
    null,
    { ...read, format: 2 },
    { ...read, sequence: -1 },
    { ...read, kind: 'other' },
    { ...read, added: [{ ...fileOf('a'), path: '../../etc/passwd' }] },
    { ...read, added: [{ ...fileOf('a'), path: 'transactions/day=2026-01-01/../../x.parquet' }] },
    { ...read, added: [{ ...fileOf('a'), rows: 1.5 }] },
    { ...read, next: { 'transactions/0': 'three' } },
    { ...read, erased: { ...erasedOf('x'), rows: { transactions: 1 } } },
    { ...read, erased: { ...erasedOf('x'), id: 7 } },
  ]) {
    throws(() => parseCommit('x', broken), isDamaged, JSON.stringify(broken))
  }
})
