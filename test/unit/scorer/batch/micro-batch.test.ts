import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import { alertIdOf } from '../../../../services/core/decision/decide.ts'
import { FEATURE_COUNT } from '../../../../services/core/features/catalogue/feature-list.ts'
import {
  PARTITION_START,
  PartitionFold,
} from '../../../../services/core/features/engine/partition-fold.ts'
import type { PartitionProgress } from '../../../../services/core/stream/partition-progress.ts'
import type { Transaction } from '../../../../services/core/transaction.ts'
import type { DecideOptions } from '../../../../services/scorer/decide/decide-options.ts'
import { decideBatch, type DecidedBatch } from '../../../../services/scorer/batch/micro-batch.ts'
import type { PartitionEntry } from '../../../../services/scorer/batch/fold-batch.ts'
import { PlainState } from '../../../support/plain-state.ts'
import { fullTransaction } from '../../core/wire/samples.ts'
import { builtInWith, DECIDE_BY_AMOUNT } from '../decide-by-amount.ts'

const LEASE_MS = 3_600_000
const DECIDED_AT_MS = 1_800_000_000_000

const options: DecideOptions = { ...DECIDE_BY_AMOUNT, ...builtInWith({ leaseMs: LEASE_MS }) }

function entryAt(offset: number, euros: number, fields: Partial<Transaction> = {}): PartitionEntry {
  const transaction: Transaction = {
    ...fullTransaction,
    id: `tx-${offset}`,
    intentId: null,
    amountMinor: euros * 100,
    currency: 'EUR',
    ...fields,
  }
  return { kind: 'transaction', offset, timestampMs: transaction.eventTimeMs, transaction }
}

class Decider {
  readonly #fold = new PartitionFold({ rates: DEFAULT_RATES }, PARTITION_START)
  readonly #state = new PlainState()
  readonly #options: DecideOptions

  constructor(fields: Partial<DecideOptions> = {}) {
    this.#options = { ...options, ...fields }
  }

  decide(
    entries: readonly PartitionEntry[],
    progress: readonly (PartitionProgress | null)[] = [null],
  ): Promise<DecidedBatch> {
    const state = this.#state
    return decideBatch(
      { labels: [], entries, labelNextOffset: 0 },
      { fold: this.#fold, state, progress },
      DECIDED_AT_MS,
      this.#options,
    )
  }
}

const outcomesOf = ({ decisions }: DecidedBatch): readonly string[] =>
  decisions.map(({ outcome }) => outcome)

test('each transaction gets one decision, in the order of offsets, with its row', async () => {
  const batch = await new Decider().decide([entryAt(1, 10), entryAt(3, 60), entryAt(4, 95)])
  assert.deepEqual(
    batch.decisions.map(({ offset, outcome, score }) => [offset, outcome, score]),
    [
      [1, 'approve', 0.1],
      [3, 'flag', 0.6],
      [4, 'block', 0.95],
    ],
  )
  assert.equal(batch.features.length, 3 * FEATURE_COUNT)
})

test('a duplicate in the same batch and in a later one gets the first decision and no alert', async () => {
  const decider = new Decider()
  const again = { id: 'tx-1' }
  const first = await decider.decide([entryAt(1, 95), entryAt(2, 10, again)])
  const second = await decider.decide([entryAt(3, 10, again)])
  assert.deepEqual(outcomesOf(first), ['block', 'block'])
  assert.deepEqual(outcomesOf(second), ['block'])
  assert.deepEqual([first.alerts.length, second.alerts.length], [1, 0])
  assert.deepEqual([first.duplicates, second.duplicates], [1, 1])
  for (const decision of [first.decisions[1], second.decisions[0]]) {
    assert.equal(decision?.duplicateOfOffset, 1)
    assert.equal(decision.score, null)
    assert.equal(decision.notScored, 'duplicate')
    assert.deepEqual(decision.annotations, ['duplicate'])
    assert.deepEqual(decision.reasons, [])
  }
})

test('a duplicate changes nothing for the transactions after it', async () => {
  const rowAfter = async (middle: readonly PartitionEntry[]): Promise<Float64Array> => {
    const batch = await new Decider().decide([entryAt(1, 10), ...middle, entryAt(3, 20)])
    return batch.features.slice(-FEATURE_COUNT)
  }
  assert.deepEqual(await rowAfter([entryAt(2, 99, { id: 'tx-1' })]), await rowAfter([]))
})

test('what the model cannot score is not scored, has no score, and gets the configured outcome', async () => {
  for (const bad of [NaN, -0.1, 1.1, Infinity]) {
    for (const unscoredOutcome of ['approve', 'flag', 'block'] as const) {
      const score = (_: Float64Array, rowCount: number) => new Float64Array(rowCount).fill(bad)
      const batch = await new Decider({ score, ...builtInWith({ unscoredOutcome }) }).decide([
        entryAt(1, 10),
      ])
      const [decision] = batch.decisions
      assert.equal(decision?.outcome, unscoredOutcome)
      assert.equal(decision.score, null)
      assert.equal(decision.notScored, 'invalid_score')
      assert.equal(batch.alerts.length, unscoredOutcome === 'approve' ? 0 : 1)
      assert.equal(batch.alerts[0]?.threshold ?? null, null)
    }
  }
})

test('a model that gives fewer scores than rows leaves the others unscored', async () => {
  const score = () => Float64Array.of(0.1)
  const batch = await new Decider({ score }).decide([entryAt(1, 10), entryAt(2, 10)])
  assert.deepEqual(
    batch.decisions.map(({ notScored }) => notScored),
    [null, 'invalid_score'],
  )
})

test('observe decides and publishes nothing', async () => {
  const batch = await new Decider(builtInWith({ mode: 'observe' })).decide([entryAt(1, 95)])
  assert.deepEqual(outcomesOf(batch), ['block'])
  assert.deepEqual(batch.alerts, [])
})

test('flag publishes a block as a flag, without a lease', async () => {
  const batch = await new Decider(builtInWith({ mode: 'flag' })).decide([entryAt(1, 95)])
  const [alert] = batch.alerts
  assert.deepEqual(outcomesOf(batch), ['block'])
  assert.equal(alert?.action, 'flag')
  assert.equal(alert.lease, null)
})

test('enforce publishes a block with a lease that ends, and a flag without', async () => {
  const entry = entryAt(7, 95)
  const { alerts } = await new Decider().decide([entry, entryAt(8, 60)])
  const startMs = fullTransaction.eventTimeMs
  assert.deepEqual(
    alerts.map(({ action, lease, threshold }) => [action, lease, threshold]),
    [
      ['block', { grade: 'suspected', startMs, endMs: startMs + LEASE_MS }, 0.9],
      ['flag', null, 0.5],
    ],
  )
  assert.equal(alerts[0]?.alertId, alertIdOf('stream', 'transactions', 0, 7))
  assert.equal(alerts[0].revision, 0)
})

test('an alert says why: the feature whose baseline value would have lowered the score', async () => {
  const { alerts, decisions } = await new Decider().decide([entryAt(1, 95), entryAt(2, 10)])
  assert.deepEqual(
    alerts[0]?.reasons.map(({ feature, value, baseline, scoreAtBaseline }) => [
      feature,
      value,
      baseline,
      scoreAtBaseline,
    ]),
    [['amount', 95, 0, 0]],
  )
  assert.deepEqual(decisions[1]?.reasons, [], 'an approval needs none')
})

test('live, a partition that another one lags behind says so; in an aligned replay it never does', async () => {
  const annotationsOf = async (alignment: 'live' | 'aligned', terminal: string | null) => {
    const decider = new Decider({ alignment })
    const none = { merchant: null, device: null, ipNetwork: null }
    const batch = await decider.decide([entryAt(1, 10, { terminal, ...none })], [null, null])
    return batch.decisions[0]?.annotations
  }
  assert.deepEqual(await annotationsOf('live', 'terminal-1'), ['entity_lagging'])
  assert.deepEqual(await annotationsOf('live', null), [])
  assert.deepEqual(await annotationsOf('aligned', 'terminal-1'), [])
})

test('a batch of watermarks alone decides nothing', async () => {
  const batch = await new Decider().decide([{ kind: 'watermark', offset: 0, timeMs: 5 }])
  assert.deepEqual([batch.decisions, batch.alerts, batch.features.length], [[], [], 0])
})
