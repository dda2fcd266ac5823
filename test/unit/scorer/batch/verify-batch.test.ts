// Goal: decisions of a cascade are the large net's where it was needed and could answer, annotated, and never a block
// by the first stage. Method: whole micro-batches; the first stage scores by amount, the large net is a pure function
// of the card's earlier payments.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import {
  PARTITION_START,
  PartitionFold,
} from '../../../../services/core/features/engine/partition-fold.ts'
import type { Verifier } from '../../../../services/core/scoring/scoring-model.ts'
import type { Transaction } from '../../../../services/core/transaction.ts'
import type { DecisionRecord } from '../../../../services/core/wire/records.ts'
import type { DecideOptions } from '../../../../services/scorer/decide/decide-options.ts'
import type { PartitionEntry } from '../../../../services/scorer/batch/fold-batch.ts'
import { decideBatch, type DecidedBatch } from '../../../../services/scorer/batch/micro-batch.ts'
import { PlainState } from '../../../support/plain-state.ts'
import { fullTransaction } from '../../core/wire/samples.ts'
import { DECIDE_BY_AMOUNT } from '../decide-by-amount.ts'
import { sequenceScores } from '../sequence-verifier.ts'

/** The large net decides from 30 EUR on. */
const VERIFY_FROM = 0.3
const SECOND_MS = 1_000

function cascade(fields: Partial<Verifier> = {}, timeoutMs = Infinity): DecideOptions {
  const verifier = { verifyFrom: VERIFY_FROM, sampleShare: 0, score: sequenceScores, ...fields }
  return { ...DECIDE_BY_AMOUNT, verify: { verifier, timeoutMs } }
}

/** Payments of a card, one second apart unless `timeMs` is given. */
function entryAt(
  offset: number,
  euros: number,
  card = 'a',
  timeMs = offset * SECOND_MS,
): PartitionEntry {
  const eventTimeMs = fullTransaction.eventTimeMs + timeMs
  const transaction = {
    ...{ ...fullTransaction, id: `tx-${offset}`, intentId: null, card, eventTimeMs },
    ...{ amountMinor: euros * 100, currency: 'EUR' },
  }
  const record = Buffer.from(JSON.stringify(transaction))
  return { kind: 'transaction', offset, timestampMs: eventTimeMs, transaction, record }
}

const readRecord = (record: Uint8Array): Transaction =>
  JSON.parse(Buffer.from(record).toString()) as Transaction

class Decider {
  readonly #fold = new PartitionFold({ rates: DEFAULT_RATES, readRecord }, PARTITION_START)
  readonly #state: PlainState | null
  readonly #options: DecideOptions

  constructor(decide: DecideOptions, state: PlainState | null = new PlainState()) {
    this.#options = decide
    this.#state = state
  }

  decide(entries: readonly PartitionEntry[], decide = this.#options): Promise<DecidedBatch> {
    return decideBatch(
      { labels: [], entries, labelNextOffset: 0 },
      { fold: this.#fold, state: this.#state, progress: [null] },
      0,
      decide,
    )
  }
}

const isMarked = ({ annotations }: DecisionRecord, mark: string): boolean =>
  annotations.includes(mark)

test('in the band the score of the large net decides and the decision is marked; below it the draft does', async () => {
  const entries = [entryAt(1, 10), entryAt(2, 30), entryAt(3, 10), entryAt(4, 95)]
  const { decisions, cascade: counts } = await new Decider(cascade()).decide(entries)
  assert.deepEqual(
    decisions.map(({ score, outcome, annotations }) => [
      score,
      outcome,
      annotations.includes('verified'),
    ]),
    [
      [0.1, 'approve', false],
      [30 / 40, 'flag', true],
      [0.1, 'approve', false],
      [95 / 145, 'flag', true],
    ],
  )
  assert.deepEqual(counts, { verified: 2, draftStands: 0, sampledSame: 0, sampledDifferent: 0 })
})

test('what the draft would have blocked is blocked only when the large net says so', async () => {
  const blocked = await new Decider(cascade()).decide([entryAt(1, 95)])
  assert.deepEqual([blocked.decisions[0]?.outcome, blocked.decisions[0]?.score], ['block', 1])
  const cleared = await new Decider(cascade()).decide([
    entryAt(1, 20),
    entryAt(2, 20),
    entryAt(3, 30),
  ])
  assert.equal(cleared.decisions[2]?.outcome, 'approve')
})

test('with the band wide open every score is that of the large net alone', async () => {
  const entries = [5, 95, 40, 1, 60].map((euros, index) => entryAt(index + 1, euros))
  const { decisions } = await new Decider(cascade({ verifyFrom: 0 })).decide(entries)
  let sum = 0
  for (const [index, euros] of [5, 95, 40, 1, 60].entries()) {
    sum += euros
    assert.equal(decisions[index]?.score, euros / sum)
    assert.ok(isMarked(decisions[index], 'verified'))
  }
})

test('a large net that does not answer in time leaves drafts, marked, and no block', async () => {
  const decide = cascade({ score: () => new Promise(() => undefined) }, 1)
  const entries = [entryAt(1, 10), entryAt(2, 60), entryAt(3, 95)]
  const { decisions, alerts, cascade: counts } = await new Decider(decide).decide(entries)
  assert.deepEqual(
    decisions.map(({ score, outcome, annotations }) => [
      score,
      outcome,
      annotations.includes('draft_stands'),
    ]),
    [
      [0.1, 'approve', false],
      [0.6, 'flag', true],
      [0.95, 'flag', true],
    ],
  )
  assert.ok(alerts.every(({ action, lease }) => action === 'flag' && lease === null))
  assert.equal(counts?.draftStands, 2)
  // Control: in a model of one net the same score is a block.
  const alone = await new Decider(DECIDE_BY_AMOUNT).decide(entries)
  assert.equal(alone.decisions[2]?.outcome, 'block')
})

test('without state drafts stand, marked', async () => {
  const { decisions } = await new Decider(cascade(), null).decide([entryAt(1, 10), entryAt(2, 95)])
  assert.deepEqual(
    decisions.map((decision) => isMarked(decision, 'draft_stands')),
    [false, true],
  )
  assert.equal(decisions[1]?.outcome, 'flag')
})

test('the sample changes no score, outcome or mark, and is counted by whether outcomes agree', async () => {
  const entries = Array.from({ length: 40 }, (_, index) =>
    entryAt(index + 1, index % 4 === 0 ? 40 : 20, `card-${index % 3}`),
  )
  const without = await new Decider(cascade()).decide(entries)
  const sampled = await new Decider(cascade({ sampleShare: 1 })).decide(entries)
  assert.deepEqual(sampled.decisions, without.decisions)
  assert.deepEqual(sampled.alerts, without.alerts)
  // All 30 rows outside of the band; this large net gives the first payment of a card the score 1.
  const { sampledSame = 0, sampledDifferent = 0 } = sampled.cascade ?? {}
  assert.equal(sampledSame + sampledDifferent, 30)
  assert.ok(sampledSame > 0 && sampledDifferent > 0)
})

test('a payment sees nothing of what comes after it in the log, whatever its event time', async () => {
  // The second has the earlier event time, so only the order of the log keeps it out of the first one's sequence.
  const entries = [entryAt(1, 40, 'a', 60_000), entryAt(2, 40, 'a', 30_000)]
  const { decisions } = await new Decider(cascade()).decide(entries)
  const [first, second] = decisions
  assert.deepEqual([first?.score, second?.score], [1, 1])
  // Control: in the other log order the later event sees the earlier one.
  const turned = [entryAt(1, 40, 'a', 30_000), entryAt(2, 40, 'a', 60_000)]
  const again = await new Decider(cascade()).decide(turned)
  assert.deepEqual(
    again.decisions.map(({ score }) => score),
    [1, 0.5],
  )
})

test('a late payment revises what the large net said, and an answer that does not come revises nothing', async () => {
  const first = entryAt(1, 95, 'a', 60_000)
  const late = entryAt(2, 95, 'a', 30_000)
  const { decisions } = await new Decider(cascade()).decide([first, late])
  const revision = decisions.find(({ revision: count }) => count > 0)
  assert.deepEqual([revision?.offset, revision?.score, revision?.outcome], [1, 0.5, 'flag'])
  assert.ok(revision !== undefined && isMarked(revision, 'verified'))
  const decider = new Decider(cascade())
  await decider.decide([first])
  const later = await decider.decide(
    [late],
    cascade({ score: () => new Promise(() => undefined) }, 1),
  )
  assert.equal(later.recomputed, 1)
  assert.ok(later.decisions.every(({ revision: count }) => count === 0))
})

test('cutting a stream into other batches gives the same scores, outcomes and annotations', async () => {
  const payment = fc.record({
    euros: fc.integer({ min: 1, max: 100 }),
    card: fc.constantFrom('a', 'b', 'c'),
    timeMs: fc.integer({ min: 0, max: 120_000 }),
  })
  await fc.assert(
    fc.asyncProperty(
      fc.array(payment, { minLength: 1, maxLength: 40 }),
      fc.array(fc.integer({ min: 1, max: 10 }), { minLength: 1, maxLength: 10 }),
      async (payments, sizes) => {
        const entries = payments.map(({ euros, card, timeMs }, index) =>
          entryAt(index + 1, euros, card, timeMs),
        )
        const whole = await new Decider(cascade({ sampleShare: 0.5 })).decide(entries)
        const parts = new Decider(cascade({ sampleShare: 0.5 }))
        const frontier: DecisionRecord[] = []
        for (let start = 0, part = 0; start < entries.length; part += 1) {
          const end = start + (sizes[part % sizes.length] ?? 1)
          frontier.push(...(await parts.decide(entries.slice(start, end))).decisions)
          start = end
        }
        const firsts = (decisions: readonly DecisionRecord[]) =>
          decisions
            .filter(({ revision }) => revision === 0)
            .map(({ offset, score, outcome, annotations, reasons }) => ({
              ...{ offset, score, outcome, annotations, reasons },
            }))
        assert.deepEqual(firsts(frontier), firsts(whole.decisions))
      },
    ),
    { numRuns: 100 },
  )
})
