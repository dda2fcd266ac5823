// Goal: a transaction is written once whoever asks, and is answered with what the log says of it: the first decision, its
// alert, or nothing before the deadline.
// Method: a log in memory that gives out offsets; decision batches and alerts as the scorer publishes them.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { SluiceError } from '../../../services/core/errors.ts'
import type { Transaction } from '../../../services/core/transaction.ts'
import type { Alert, DecisionBatch, DecisionRecord } from '../../../services/core/wire/records.ts'
import { RecentDecisions } from '../../../services/gateway/recent-decisions.ts'
import { digestOf, ScoreRequests } from '../../../services/gateway/score-requests.ts'
import { minimalAlert, minimalTransaction } from '../core/wire/samples.ts'

const MIB = 1024 * 1024
const SOON_MS = 20
const PATIENT_MS = 30_000

function setUp() {
  const written: Buffer[] = []
  const run = { isAway: false }
  const scores = new ScoreRequests({
    recent: new RecentDecisions({ countMax: 100, bytesMax: MIB }),
    topic: 'transactions',
    log: {
      append: (_transaction, value) => {
        if (run.isAway)
          return Promise.reject(new SluiceError('SLUICE_BROKER_UNAVAILABLE', 'It is away.'))
        written.push(value)
        return Promise.resolve({ partition: 0, offset: written.length - 1 })
      },
      digestAt: (_partition, offset) => {
        const value = written[offset]
        return Promise.resolve(value === undefined ? null : digestOf(value))
      },
    },
  })
  const score = (transaction: Transaction, inMs = PATIENT_MS) =>
    scores.score({
      transaction,
      value: Buffer.from(JSON.stringify(transaction)),
      headers: undefined,
      deadlineMs: performance.now() + inMs,
    })
  return { scores, score, written, run }
}

function decisionOf(offset: number, more: Partial<DecisionRecord> = {}): DecisionRecord {
  const { id: transactionId, card, eventTimeMs, amountMinor, currency } = minimalTransaction
  return {
    ...{ offset, revision: 0, transactionId, card, eventTimeMs, amountMinor, currency },
    ...{ outcome: 'approve', score: 0.1, notScored: null, duplicateOfOffset: null },
    ...{ annotations: [], reasons: [], entityAgeMs: null, causeOffset: null },
    ...{ segment: null, rules: [] },
    ...more,
  }
}

function batchOf(decisions: readonly DecisionRecord[], more: Partial<DecisionBatch> = {}) {
  const empty = new Uint8Array()
  const batch: DecisionBatch = {
    ...{ streamId: 's', partition: 0, firstOffset: 0, nextOffset: 1, labelNextOffset: 0 },
    ...{ watermarks: 0, alignment: 'live', mode: 'enforce', modelVersion: 'm', modelDigest: 'd' },
    ...{ backend: 'cpu', policyDigest: 'p', policyVersion: 0, featureListHash: 'f' },
    ratesDigest: 'r',
    ...{ controlPosition: null, frontier: [], previousHash: empty, decidedAtMs: 1 },
    ...{ featureCount: 0, features: empty, featureStates: null, decisions },
    ...{ deadLetterOffsets: [], digestSalts: empty, erased: [] },
    ...more,
  }
  return batch
}

function alertAt(offset: number, more: Partial<Alert> = {}): Alert {
  const lease = { grade: 'suspected', startMs: 1, endMs: 2 } as const
  const source = { ...minimalAlert.source, partition: 0, offset }
  const { id: transactionId } = minimalTransaction
  return { ...minimalAlert, revision: 0, action: 'block', transactionId, lease, source, ...more }
}

test('requests that wait for the same transaction share one write and one decision', async () => {
  const { scores, score, written } = setUp()
  const both = [score(minimalTransaction), score(minimalTransaction)]
  await Promise.resolve()
  scores.decided(batchOf([decisionOf(0)]))
  const [first, second] = await Promise.all(both)
  strictEqual(written.length, 1)
  ok(first?.kind === 'decided' && second?.kind === 'decided')
  strictEqual(first.decision, second.decision)
  deepStrictEqual([first.by, second.by], ['written', 'shared'])
  const third = await score(minimalTransaction)
  ok(third.kind === 'decided')
  deepStrictEqual([third.by, written.length], ['repeated', 1])
})

test('other content is a conflict, also when another process wrote the transaction', async () => {
  const { scores, score, written } = setUp()
  const changed = { ...minimalTransaction, merchant: 'another' }
  written.push(Buffer.from(JSON.stringify(minimalTransaction)))
  scores.decided(batchOf([decisionOf(0)]))
  strictEqual((await score(changed)).kind, 'conflict')
  strictEqual((await score(minimalTransaction)).kind, 'decided')
  strictEqual((await score({ ...minimalTransaction, card: 'another' })).kind, 'conflict')
  strictEqual(written.length, 1)
})

test('a duplicate of what another process wrote first is answered with the first decision', async () => {
  const { scores, score, written } = setUp()
  written.push(Buffer.from(JSON.stringify(minimalTransaction)))
  const waiting = score(minimalTransaction)
  await Promise.resolve()
  scores.decided(batchOf([decisionOf(0, { score: 0.3 }), decisionOf(1, { duplicateOfOffset: 0 })]))
  const answer = await waiting
  ok(answer.kind === 'decided')
  deepStrictEqual([answer.decision.offset, answer.decision.score], [0, 0.3])
})

test('a block is answered with the lease of its alert, whichever is read first', async () => {
  for (const isAlertFirst of [true, false]) {
    const { scores, score } = setUp()
    const waiting = score(minimalTransaction)
    await Promise.resolve()
    if (isAlertFirst) scores.alerted(alertAt(0))
    scores.decided(batchOf([decisionOf(0, { outcome: 'block' })]))
    if (!isAlertFirst) scores.alerted(alertAt(0))
    const answer = await waiting
    ok(answer.kind === 'decided')
    deepStrictEqual([answer.alert.action, answer.alert.lease?.endMs], ['block', 2])
  }
})

test('an outcome of a segment without alert is answered once its partition of alerts is read', async () => {
  const { scores, score } = setUp()
  const waiting = score(minimalTransaction)
  await Promise.resolve()
  scores.decided(batchOf([decisionOf(0, { outcome: 'block', segment: 'observed' })]))
  scores.alertsRead(0, true)
  scores.alertsRead(0, false)
  scores.alertsRead(1, true)
  scores.alertsRead(0, true)
  const answer = await waiting
  ok(answer.kind === 'decided')
  deepStrictEqual(answer.alert, { action: 'none', alertId: null, lease: null })
})

test('the fallback says how far the transaction came', async () => {
  const { scores, score, run, written } = setUp()
  deepStrictEqual(await score(minimalTransaction, SOON_MS), {
    kind: 'fallback',
    reason: 'not_decided',
  })
  const refused = score({ ...minimalTransaction, id: 'refused' })
  await new Promise(setImmediate)
  scores.decided(batchOf([], { deadLetterOffsets: [1] }))
  deepStrictEqual(await refused, { kind: 'fallback', reason: 'dead_letter' })
  run.isAway = true
  const away = { ...minimalTransaction, id: 'away' }
  deepStrictEqual(await score(away), { kind: 'fallback', reason: 'not_written' })
  run.isAway = false
  strictEqual((await score(away, SOON_MS)).kind, 'fallback')
  strictEqual(written.length, 3)
})
