// Goal: what is remembered is bounded by count, by bytes and by time, and the oldest goes first.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { KeptDecision } from '../../../services/gateway/answers.ts'
import { RecentDecisions } from '../../../services/gateway/recent-decisions.ts'

const MIB = 1024 * 1024

const decision: KeptDecision = {
  ...{ offset: 7, partition: 1, card: 'card-1', eventTimeMs: 1, amountMinor: 1, currency: 'EUR' },
  ...{ outcome: 'approve', score: 0.1, notScored: null, annotations: [], reasons: [] },
  ...{ segment: null, rules: [], mode: 'flag', decidedAtMs: 1 },
  versions: { model: 'm', modelDigest: 'd', policy: 0, policyDigest: 'p', featureList: 'f' },
}

test('the oldest are forgotten beyond the count', () => {
  const recent = new RecentDecisions({ countMax: 3, bytesMax: MIB })
  for (const id of ['a', 'b', 'c', 'd']) recent.add(id, null, 1)
  deepStrictEqual(
    ['a', 'b', 'c', 'd'].map((id) => recent.get(id)?.id),
    [undefined, 'b', 'c', 'd'],
  )
})

test('the oldest are forgotten beyond the bytes, and bytes are given back', () => {
  const recent = new RecentDecisions({ countMax: 1_000, bytesMax: 5_000 })
  for (let number = 0; number < 100; number += 1) {
    recent.decide(recent.add(`transaction-${number}`, null, 1), decision, 7)
    ok(recent.bytes <= 5_000)
  }
  ok(recent.count > 1 && recent.count < 100)
  strictEqual(recent.get('transaction-99')?.decision, decision)
  recent.forgetBefore(2)
  deepStrictEqual([recent.count, recent.bytes], [0, 0])
})

test('an entry is forgotten by its time, and a forgotten one takes nothing with it', () => {
  const recent = new RecentDecisions({ countMax: 10, bytesMax: MIB })
  const old = recent.add('old', null, 1)
  recent.add('new', null, 5)
  recent.forgetBefore(5)
  strictEqual(recent.get('old'), undefined)
  const { bytes } = recent
  recent.decide(old, decision, 7)
  recent.remove(old)
  deepStrictEqual([recent.count, recent.bytes], [1, bytes])
})
