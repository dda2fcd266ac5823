// Goal: a benchmark cannot count events that were lost, doubled, reordered or unlinked. Method: batches as the
// scorer writes them, then each rule broken once.

import assert, { deepStrictEqual, match, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { BatchLedger } from '../../../../tools/bench/batch-ledger.ts'
import { countProblems } from '../../../../tools/bench/replay-bench.ts'
import { batchHashOf } from '../../../../services/core/audit/batch-hash.ts'
import { createCodecs } from '../../../../services/core/wire/codecs.ts'
import type { DecisionBatch, DecisionRecord } from '../../../../services/core/wire/records.ts'
import { FileRegistry } from '../../../../services/platform/registry/file-registry.ts'

const codecs = createCodecs(await new FileRegistry().load())

function decision(offset: number, outcome: DecisionRecord['outcome']): DecisionRecord {
  return {
    offset,
    revision: 0,
    transactionId: `tx-${offset}`,
    card: 'card-1',
    eventTimeMs: 1_700_000_000_000,
    amountMinor: 100,
    currency: 'EUR',
    outcome,
    score: 0.5,
    notScored: null,
    duplicateOfOffset: null,
    annotations: [],
    reasons: [],
    entityAgeMs: null,
    causeOffset: null,
    segment: null,
    rules: [],
  }
}

function hashOf(value: Buffer): Buffer {
  const decoded = codecs.decisionBatch.decode(value)
  assert(decoded.ok)
  return batchHashOf(decoded.value)
}

function batch(previous: Buffer | null, change: Partial<DecisionBatch>): Buffer {
  const decisions = change.decisions ?? []
  return codecs.decisionBatch.encode({
    streamId: 'stream',
    partition: 0,
    firstOffset: 0,
    nextOffset: decisions.length,
    labelNextOffset: 0,
    watermarks: 0,
    alignment: 'live',
    mode: 'flag',
    modelVersion: 'model-1',
    modelDigest: 'a'.repeat(64),
    backend: 'wasm',
    policyDigest: 'b'.repeat(64),
    policyVersion: 0,
    featureListHash: 'c'.repeat(64),
    ratesDigest: 'd'.repeat(64),
    controlPosition: null,
    frontier: [],
    previousHash: previous === null ? Buffer.alloc(0) : hashOf(previous),
    decidedAtMs: 1_700_000_000_000,
    featureCount: 0,
    features: Buffer.alloc(0),
    featureStates: null,
    decisions,
    deadLetterOffsets: [],
    digestSalts: Buffer.alloc(16 * decisions.length),
    erased: [],
    ...change,
  })
}

const first = batch(null, { decisions: [decision(0, 'approve'), decision(1, 'flag')] })
const second = batch(first, {
  firstOffset: 2,
  nextOffset: 5,
  decisions: [decision(2, 'block')],
  deadLetterOffsets: [3],
  watermarks: 1,
})

function ledgerOf(...values: readonly Buffer[]): BatchLedger {
  const ledger = new BatchLedger(codecs)
  for (const [index, value] of values.entries()) ledger.add(0, value, 1_000 + index)
  return ledger
}

function problemsOf(...values: readonly Buffer[]): string {
  return ledgerOf(...values)
    .summary()
    .problems.join('\n')
}

test('batches in order that answer every offset and are linked raise no problem', () => {
  const ledger = ledgerOf(first, second)
  strictEqual(ledger.nextOffset(0), 5)
  deepStrictEqual(ledger.summary(), {
    batchCount: 2,
    decisions: 3,
    scored: 3,
    deadLetters: 1,
    watermarks: 1,
    alertsDue: 2,
    backends: ['wasm'],
    modelVersions: ['model-1'],
    firstBatchMs: 1_000,
    lastBatchMs: 1_001,
    offsetsInFirstMs: 2,
    problems: [],
  })
})

test('a lost batch, a doubled batch and a batch of another chain are reported', () => {
  match(problemsOf(second), /0 was to come next/)
  match(problemsOf(first, first), /2 was to come next/)
  const other = batch(second, { firstOffset: 2, nextOffset: 3, decisions: [decision(2, 'flag')] })
  match(problemsOf(first, other), /hash of the previous batch differs/)
})

test('an offset without an answer, or with two, is told', () => {
  const gap = batch(null, { nextOffset: 3, decisions: [decision(0, 'flag'), decision(2, 'flag')] })
  match(problemsOf(gap), /2 answers for 3 offsets/)
  const twice = batch(null, { decisions: [decision(0, 'flag'), decision(0, 'flag')] })
  match(problemsOf(twice), /decision 0 is out of order/)
})

test('a batch that cannot be read is reported', () => {
  match(problemsOf(Buffer.from('no batch')), /cannot be read/)
})

test('fewer answers than transactions, dead letters, and missing scores are problems', () => {
  const batches = ledgerOf(first).summary()
  deepStrictEqual(countProblems(2, batches), [])
  match(countProblems(3, batches).join(' '), /3 in, but 2 decisions/)
  match(countProblems(2, { ...batches, scored: 1 }).join(' '), /1 decisions have no score/)
  match(countProblems(3, { ...batches, deadLetters: 1 }).join(' '), /1 dead letters/)
})
