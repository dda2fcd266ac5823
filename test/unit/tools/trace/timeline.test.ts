// Goal: the steps of a transaction come in order with correct differences, and an unknown one is never 0.

import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { DecisionRecord } from '../../../../services/core/wire/records.ts'
import {
  timelineOf,
  traceJson,
  traceLines,
  type TracedDecision,
  type TracedTransaction,
} from '../../../../tools/trace/timeline.ts'
import { fullDecisionBatch } from '../../core/wire/samples.ts'

const SENT_MS = Date.UTC(2026, 0, 2, 3, 4, 5, 600)
const [sample] = fullDecisionBatch.decisions

function decided(fields: Partial<DecisionRecord> = {}): TracedDecision {
  ok(sample !== undefined)
  const first = { revision: 0, duplicateOfOffset: null, causeOffset: null, offset: 42 }
  const decision = {
    ...sample,
    transactionId: 'tx-1',
    ...first,
    outcome: 'flag' as const,
    ...fields,
  }
  return {
    decision,
    source: { topic: 'transactions', partition: 3, offset: decision.offset },
    produced: { topic: 'decisions', partition: 3, offset: 7, atMs: SENT_MS + 9 },
    decidedAtMs: SENT_MS + 6,
    fetchedMs: SENT_MS + 4,
    batch: { firstOffset: 40, nextOffset: 45, decisions: 5 },
  }
}

const known: TracedTransaction = {
  transactionId: 'tx-1',
  sentMs: SENT_MS,
  traced: decided(),
  committed: { topic: 'decisions', partition: 3, offset: 8, atMs: SENT_MS + 15 },
  alert: {
    alertId: 'alert-1',
    action: 'flag',
    produced: { topic: 'alerts', partition: 3, offset: 20, atMs: SENT_MS + 9 },
    committed: { topic: 'alerts', partition: 3, offset: 22, atMs: SENT_MS + 16 },
  },
  others: [],
  otherCount: 0,
}

function differences(transaction: TracedTransaction) {
  return timelineOf(transaction).map(({ step, sinceSentMs, sinceLastMs }) => [
    step,
    sinceSentMs,
    sinceLastMs,
  ])
}

test('each step has the time since it was sent and since the step before', () => {
  deepStrictEqual(differences(known), [
    ['sent', 0, null],
    ['fetched', 4, 4],
    ['decided', 6, 2],
    ['produced', 9, 3],
    ['alert produced', 9, 0],
    ['committed', 15, 6],
    ['alert committed', 16, 1],
  ])
  deepStrictEqual(
    timelineOf({ ...known, alert: null }).map(({ step }) => step),
    ['sent', 'fetched', 'decided', 'produced', 'committed'],
  )
})

test('a step that was not recorded has no time, and the next one counts from the last that has one', () => {
  const transaction = { ...known, traced: { ...decided(), fetchedMs: null }, alert: null }
  deepStrictEqual(differences(transaction).slice(1, 3), [
    ['fetched', null, null],
    ['decided', 6, 6],
  ])
  match(traceLines(transaction).join('\n'), /^not recorded +fetched /m)
  const nothing = { ...transaction, sentMs: null, committed: null }
  deepStrictEqual(differences(nothing), [
    ['sent', null, null],
    ['fetched', null, null],
    ['decided', null, null],
    ['produced', null, 3],
    ['committed', null, null],
  ])
  strictEqual(traceLines(nothing).filter((line) => line.startsWith('not known')).length, 2)
})

test('a line has the time, both differences, the step, the position and a sentence', () => {
  const lines = traceLines(known)
  strictEqual(lines[0], 'transaction tx-1')
  match(
    lines.find((line) => line.includes(' produced ')) ?? '',
    /^2026-01-02T03:04:05\.609Z +9 ms +3 ms +produced +decisions\/3\/7 +The scorer wrote the decision batch\.$/,
  )
  match(lines.join('\n'), / fetched +transactions\/3\/44 /)
  doesNotMatch(lines.join('\n'), /clocks|Other decisions/)
})

test('a clock that is behind gives a difference below 0, which is said', () => {
  const committed = { topic: 'decisions', partition: 3, offset: 8, atMs: SENT_MS + 2 }
  const behind = { ...known, committed, alert: null }
  deepStrictEqual(differences(behind).at(-1), ['committed', 2, -7])
  match(traceLines(behind).join('\n'), /clocks of machines differ/)
})

test('repeats, revisions and other transactions with the id are named, the first ones of many', () => {
  const others = [
    decided({ offset: 50, duplicateOfOffset: 42 }),
    decided({ revision: 1, outcome: 'block', causeOffset: 61 }),
    decided({ offset: 70, outcome: 'approve' }),
  ]
  const text = traceLines({ ...known, others, otherCount: 3 }).join('\n')
  match(text, /transactions\/3\/50, a repeat of offset 42, decided 2026-.* in decisions\/3\/7/)
  match(
    text,
    /transactions\/3\/42, revision 1 to block, caused by the late transaction at offset 61/,
  )
  match(text, /transactions\/3\/70, another transaction with the id, approve/)
  doesNotMatch(text, /more$/m)
  const many = Array.from({ length: 30 }, () => decided({ offset: 50, duplicateOfOffset: 42 }))
  const lines = traceLines({ ...known, others: many, otherCount: 40 })
  strictEqual(lines.filter((line) => line.includes('a repeat')).length, 20)
  strictEqual(lines.at(-1), '    and 20 more')
  const repeat = { ...known, traced: decided({ duplicateOfOffset: 4 }) }
  match(traceLines(repeat)[0] ?? '', /a repeat of offset 4, whose decision is no longer in the log/)
})

test('JSON has the same steps with null for what is not known; ids reveal no card number', () => {
  const json = traceJson({ ...known, traced: { ...decided(), fetchedMs: null } }) as {
    readonly steps: readonly { readonly step: string; readonly atMs: number | null }[]
  }
  strictEqual(json.steps.length, 7)
  deepStrictEqual(json.steps[1], {
    step: 'fetched',
    atMs: null,
    sinceSentMs: null,
    sinceLastMs: null,
    position: 'transactions/3/44',
    sentence: 'Its decision batch has no such header.',
  })
  const [first] = traceLines({ ...known, transactionId: '4111111111111111\u0007' })
  strictEqual(first, 'transaction [redacted]?')
})
