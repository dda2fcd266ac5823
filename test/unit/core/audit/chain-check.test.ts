// Goal: every change of a hash chain is found, and neither an erasure requested by a card holder nor Kafka's retention
// is mistaken for one. Method: a chain as the scorer writes it, and one change at a time; the unchanged chain is the
// control.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type Anchor,
  ChainCheck,
  type ChainSummary,
} from '../../../../services/core/audit/chain-check.ts'
import { batchHashOf } from '../../../../services/core/audit/batch-hash.ts'
import { eraseCard } from '../../../../services/core/audit/erase-card.ts'
import type { DecisionBatch } from '../../../../services/core/wire/records.ts'
import { holds } from '../../../support/property.ts'
import { decisionBatchOf } from '../wire/decision-batch-sample.ts'
import { codecs } from '../wire/wire-fixture.ts'

const BLOCKS = 9
const FEATURES = 3
const CARD = 'card-1'

interface Message {
  readonly offset: number
  readonly value: Buffer
}

/** A chain, as the scorer writes it. */
function chain(): readonly Message[] {
  const messages: Message[] = []
  let previousHash: Uint8Array = Buffer.alloc(0)
  let next = 100
  for (let index = 0; index < BLOCKS; index += 1) {
    const count = 1 + (index % 4)
    const sample = decisionBatchOf(count, FEATURES)
    const batch: DecisionBatch = {
      ...sample,
      firstOffset: next,
      nextOffset: next + count,
      previousHash,
      featureStates: index % 2 === 0 ? null : Buffer.alloc(count * FEATURES, 1),
      decisions: sample.decisions.map((decision, at) => ({ ...decision, offset: next + at })),
      digestSalts: Buffer.alloc(count * 16, index + 1),
    }
    const value = codecs.decisionBatch.encode(batch)
    messages.push({ offset: 2 * index, value })
    previousHash = batchHashOf(batch)
    next += count
  }
  return messages
}

const CHAIN = chain()

function decode(value: Buffer): DecisionBatch {
  const decoded = codecs.decisionBatch.decode(value)
  assert.ok(decoded.ok)
  return decoded.value
}

function hashOf({ value }: Message): Buffer {
  return batchHashOf(decode(value))
}

const COMMITTED = hashOf(CHAIN[BLOCKS - 1] ?? assert.fail()).toString('base64')

function check(
  messages: readonly Message[],
  anchors: readonly Anchor[] = [],
  committed: string | null = COMMITTED,
): ChainSummary {
  const found = new ChainCheck(3, anchors, committed)
  for (const { offset, value } of messages) {
    const decoded = codecs.decisionBatch.decode(value)
    found.add(offset, decoded.ok ? decoded.value : null)
  }
  return found.finish()
}

function anchorAt(index: number): Anchor {
  const message = CHAIN[index] ?? assert.fail()
  return {
    streamId: 'stream-1',
    partition: 3,
    offset: message.offset,
    hash: hashOf(message).toString('hex'),
    blocks: index + 1,
    decidedAtMs: 0,
    anchoredAtMs: 0,
  }
}

function changed(at: number, change: (batch: DecisionBatch) => Partial<DecisionBatch>) {
  return CHAIN.map((message, index) => {
    if (index !== at) return message
    const batch = decode(message.value)
    return { ...message, value: codecs.decisionBatch.encode({ ...batch, ...change(batch) }) }
  })
}

const faultsOf = ({ findings }: ChainSummary): readonly string[] =>
  findings.map(({ fault }) => fault)

test('a chain that nobody touched has no fault, with anchors and without', () => {
  for (const anchors of [[], [anchorAt(0), anchorAt(4), anchorAt(8)]]) {
    const { findings, head, blocks, blocksBefore, newest } = check(CHAIN, anchors)
    assert.deepEqual(findings, [])
    assert.deepEqual([head, blocks, blocksBefore, newest?.blocks], ['first', BLOCKS, 0, BLOCKS])
  }
})

test('one value that is altered, whichever it is, is found', () => {
  const changes: readonly ((batch: DecisionBatch) => Partial<DecisionBatch>)[] = [
    ({ decisions }) => ({ decisions: decisions.map((one) => ({ ...one, outcome: 'block' })) }),
    ({ decisions }) => ({ decisions: decisions.map((one) => ({ ...one, score: 0.75 })) }),
    ({ decisions }) => ({ decisions: decisions.map((one) => ({ ...one, card: 'card-x' })) }),
    ({ decisions }) => ({ decisions: decisions.toReversed() }),
    ({ features }) => ({ features: Buffer.from(features).fill(1, 0, 8) }),
    ({ decisions }) => ({ featureStates: Buffer.alloc(decisions.length * FEATURES, 3) }),
    () => ({ modelDigest: 'f'.repeat(64) }),
    () => ({ policyVersion: 8 }),
    () => ({ frontier: [] }),
    ({ decidedAtMs }) => ({ decidedAtMs: decidedAtMs + 1 }),
    () => ({ deadLetterOffsets: [] }),
    () => ({ previousHash: Buffer.alloc(32, 1) }),
    ({ digestSalts }) => ({ digestSalts: Buffer.from(digestSalts).fill(3, 0, 1) }),
  ]
  for (const [number, change] of changes.entries()) {
    for (const at of CHAIN.keys()) {
      const messages = changed(at, change)
      if (messages[at]?.value.equals(CHAIN[at]?.value ?? Buffer.alloc(0)) === true) continue
      // Reversing a single decision is not a change.
      if (number === 3 && at % 4 === 0) continue
      assert.ok(faultsOf(check(messages)).length > 0, `change ${number} of batch ${at}`)
    }
  }
})

test('a batch without decisions is a link like any other, and altering it is found', () => {
  const linked = (decidedAtMs: number) => {
    const [first, last] = [CHAIN[0] ?? assert.fail(), CHAIN[1] ?? assert.fail()]
    const { nextOffset } = decode(first.value)
    const empty = {
      ...decisionBatchOf(0, 0),
      firstOffset: nextOffset,
      nextOffset,
      featureStates: null,
      previousHash: hashOf(first),
    }
    const after = { ...decode(last.value), previousHash: batchHashOf(empty) }
    return [
      first,
      { offset: 1, value: codecs.decisionBatch.encode({ ...empty, decidedAtMs }) },
      { offset: 2, value: codecs.decisionBatch.encode(after) },
    ]
  }
  const { decidedAtMs } = decisionBatchOf(0, 0)
  assert.deepEqual(faultsOf(check(linked(decidedAtMs), [], null)), [], 'control')
  assert.deepEqual(faultsOf(check(linked(decidedAtMs + 1), [], null)), ['altered_batch'])
})

test('an altered byte is found, or leaves the content of the batch unchanged', () => {
  holds(
    300,
    fc.property(fc.nat(BLOCKS - 1), fc.nat(), fc.integer({ min: 1, max: 255 }), (at, place, by) => {
      const messages = CHAIN.map((message, index) => {
        if (index !== at) return message
        const value = Buffer.from(message.value)
        const byte = place % value.length
        value[byte] = (value[byte] ?? 0) ^ by
        return { ...message, value }
      })
      const altered = codecs.decisionBatch.decode(messages[at]?.value ?? null)
      const isSame =
        altered.ok &&
        JSON.stringify(altered.value) === JSON.stringify(decode(CHAIN[at]?.value ?? assert.fail()))
      if (!isSame) assert.ok(check(messages).findings.length > 0)
    }),
  )
})

test('a removed batch is found, in the middle and at the end', () => {
  for (let at = 1; at < BLOCKS; at += 1) {
    const found = faultsOf(check(CHAIN.toSpliced(at, 1)))
    assert.deepEqual(found, [at === BLOCKS - 1 ? 'tail_missing' : 'missing_batch'])
  }
})

test('two exchanged batches are found', () => {
  const [third, fourth] = [CHAIN[3] ?? assert.fail(), CHAIN[4] ?? assert.fail()]
  const swapped = CHAIN.with(3, { ...fourth, offset: third.offset }).with(4, {
    ...third,
    offset: fourth.offset,
  })
  assert.ok(faultsOf(check(swapped)).includes('out_of_order'))
})

test('without an anchor a chain whose beginning is gone is not verified; with one it is, and says how much is gone', () => {
  const rest = CHAIN.slice(4)
  assert.deepEqual(faultsOf(check(rest)), ['head_unverified'])
  for (const anchor of [anchorAt(3), anchorAt(6)]) {
    const { findings, head, blocksBefore, newest } = check(rest, [anchor])
    assert.deepEqual(findings, [])
    assert.deepEqual([head, blocksBefore, newest?.blocks], ['anchored', 4, BLOCKS])
  }
  // An anchor of an earlier batch proves nothing about the batch before the first one present.
  assert.deepEqual(faultsOf(check(rest, [anchorAt(1)])), ['head_unverified'])
})

test('a whole chain that was written anew is found by an anchor, and only by one', () => {
  let previousHash: Uint8Array = Buffer.alloc(0)
  const forged = CHAIN.map(({ offset, value }) => {
    const batch = { ...decode(value), modelVersion: 'forged', previousHash }
    const message = codecs.decisionBatch.encode(batch)
    previousHash = batchHashOf(batch)
    return { offset, value: message }
  })
  assert.deepEqual(faultsOf(check(forged, [], null)), [], 'control: the links agree')
  assert.deepEqual(faultsOf(check(forged, [anchorAt(5)], null)), ['anchor_differs'])
  assert.deepEqual(faultsOf(check(forged)), ['tail_missing'])
})

test('an anchored batch that is gone is found even when the links are repaired', () => {
  assert.deepEqual(faultsOf(check(CHAIN.slice(0, 5), [anchorAt(7)], null)), ['anchor_missing'])
})

test('a card that is erased from a copy leaves the chain whole, and nothing of the card', () => {
  const erased = CHAIN.map(({ offset, value }) => {
    return { offset, value: codecs.decisionBatch.encode(eraseCard(decode(value), CARD)) }
  })
  const { findings, erasedDecisions } = check(erased, [anchorAt(4)])
  assert.deepEqual(findings, [])
  const decisions = CHAIN.flatMap(({ value }) => decode(value).decisions)
  const all = decisions.filter(({ card }) => card === CARD)
  assert.equal(erasedDecisions, all.length)
  assert.ok(all.length > 0)
  for (const { value } of erased) {
    const batch = decode(value)
    assert.ok(!batch.decisions.some(({ card }) => card === CARD))
    for (const { index } of batch.erased) {
      assert.ok(
        batch.digestSalts.subarray(index * 16, (index + 1) * 16).every((byte) => byte === 0),
      )
      const row = Float64Array.from({ length: FEATURES }, (_, at) =>
        Buffer.from(batch.features).readDoubleLE((index * FEATURES + at) * 8),
      )
      assert.ok(row.every(Number.isNaN))
    }
  }
})

test('an erased copy cannot hide another change: of the others nothing may differ', () => {
  const copy = eraseCard(decode(CHAIN[3]?.value ?? assert.fail()), CARD)
  const decisions = copy.decisions.map((one, index) => (index === 0 ? { ...one, score: 0.9 } : one))
  const value = codecs.decisionBatch.encode({ ...copy, decisions })
  assert.ok(faultsOf(check(CHAIN.with(3, { offset: 6, value }))).length > 0)
})

test('a message that is not a decision batch is reported', () => {
  const messages = CHAIN.with(2, { offset: 4, value: Buffer.from('none') })
  assert.deepEqual(faultsOf(check(messages)), ['unreadable_batch', 'missing_batch'])
})
