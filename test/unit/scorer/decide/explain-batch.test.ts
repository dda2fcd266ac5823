// Goal: each counterfactual of an alert is true: applied to the row, it gives the named score and outcome. Method: the
// released cascade on a simulated stream; each change is made to its row, which is then scored again alone.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import { isScore, outcomeOf } from '../../../../services/core/decision/decide.ts'
import {
  SEQUENCE_LENGTH,
  writeSequence,
} from '../../../../services/core/features/engine/card-sequence.ts'
import {
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../../../services/core/features/catalogue/feature-list.ts'
import {
  PARTITION_START,
  PartitionFold,
} from '../../../../services/core/features/engine/partition-fold.ts'
import { hashOf } from '../../../../services/core/id-hash.ts'
import {
  OUTCOMES,
  type Counterfactual,
  type Outcome,
} from '../../../../services/core/wire/records.ts'
import { openScoringModel } from '../../../../services/platform/tensorflow/scoring-model.ts'
import { explainRows } from '../../../../services/scorer/decide/explain-batch.ts'
import type { Explained } from '../../../../services/scorer/decide/explained.ts'
import { foldBatch, type PartitionEntry } from '../../../../services/scorer/batch/fold-batch.ts'
import { simulate } from '../../../../tools/simulator/simulate.ts'
import { PlainState } from '../../../support/plain-state.ts'
import { RELEASED_MODEL } from '../../platform/tensorflow/model-copies.ts'

const AMOUNT = FEATURE_NAMES.indexOf('amount')
const TRANSACTIONS = 6_000
const BATCH = 500
const FRAUD_SHARE = 0.05

const model = await openScoringModel({ folder: RELEASED_MODEL, backend: 'compiled' })
after(() => {
  model.close()
})
const { info } = model
const thresholds = { flag: info.flagThreshold, block: info.blockThreshold }
const decided = (score: number): Outcome => outcomeOf(score, thresholds)
const flagged = await flaggedRows()

interface Asked {
  readonly row: Float64Array
  readonly sequence: Float64Array
  readonly amountMinor: number
}

/** Rows of a simulated stream that the first stage sends to the large net, and that this flags or blocks. */
async function flaggedRows(): Promise<readonly Asked[]> {
  const { verifier } = model
  assert.ok(verifier !== null)
  const state = new PlainState()
  const fold = new PartitionFold({ rates: DEFAULT_RATES }, PARTITION_START)
  const entries = [
    ...simulate({ seed: 5, transactionsMax: TRANSACTIONS, cards: 50, fraudShare: FRAUD_SHARE }),
  ]
    .flatMap((event) => (event.kind === 'transaction' ? [event.transaction] : []))
    .map((transaction, offset): PartitionEntry => {
      return { kind: 'transaction', offset, timestampMs: transaction.eventTimeMs, transaction }
    })
  const found: Asked[] = []
  for (let start = 0; start < entries.length; start += BATCH) {
    const batch = foldBatch(
      { labels: [], entries: entries.slice(start, start + BATCH), labelNextOffset: 0 },
      fold,
      state,
      'live',
    )
    const scores = await model.score(batch.features, batch.rows.length)
    for (const [index, { transaction, offset, folded }] of batch.rows.entries()) {
      if (!((scores[index] ?? NaN) >= verifier.verifyFrom)) continue
      const { card, eventTimeMs, id } = transaction
      const sequence = new Float64Array(SEQUENCE_LENGTH)
      writeSequence(state.card(card), eventTimeMs, hashOf(id), offset, {
        values: sequence,
        position: 0,
      })
      const row = batch.features.slice(index * FEATURE_COUNT, (index + 1) * FEATURE_COUNT)
      const each = { row, sequence, amountMinor: folded.amountMinor }
      if (decided((await cascade(each)).score) !== 'approve') found.push(each)
    }
  }
  return found
}

/** The cascade's score of one row, computed alone. */
async function cascade({ row, sequence, amountMinor }: Asked) {
  const draftScore = (await model.score(row, 1))[0] ?? NaN
  const { verifier } = model
  if (verifier === null || draftScore < verifier.verifyFrom) {
    return { draftScore, score: draftScore, verified: null }
  }
  const question = { rows: row, sequences: sequence, amountsMinor: Float64Array.of(amountMinor) }
  const score = (await verifier.score(question, 1))[0] ?? NaN
  return { draftScore, score, verified: { score, sequence, amountMinor } }
}

/** The flagged or blocked rows, with `draftDecides` as if the large net had not answered. */
async function explainedRows(draftDecides: boolean) {
  const asked: Asked[] = []
  const explained: Explained[] = []
  for (const each of flagged) {
    const found = await cascade(each)
    const score = draftDecides ? found.draftScore : found.score
    const outcome = decided(score)
    if (!isScore(score) || outcome === 'approve') continue
    asked.push(each)
    explained.push({
      ...{ row: each.row, score, draftScore: found.draftScore, outcome },
      verified: draftDecides ? null : found.verified,
      ask: (_, changed) => ({ outcome: decided(changed), rules: [] }),
    })
  }
  const { verifier } = model
  const verify = verifier === null ? null : { verifier, timeoutMs: Infinity }
  const score = (rows: Float64Array, count: number) => model.score(rows, count)
  return {
    asked,
    explained,
    why: await explainRows(explained, { baseline: info.baseline, score, verify }),
  }
}

function changedBy(
  { row, sequence, amountMinor }: Asked,
  { also, ...first }: Pick<Counterfactual, 'feature' | 'changedTo' | 'also'>,
): Asked {
  const changed = row.slice()
  let minor = amountMinor
  for (const { feature, changedTo } of [first, ...also]) {
    const at = FEATURE_NAMES.indexOf(feature)
    changed[at] = changedTo ?? NaN
    if (at === AMOUNT) minor = Math.round((changedTo ?? NaN) * 100)
  }
  return { row: changed, sequence, amountMinor: minor }
}

test('each counterfactual, applied to its row, gives the score that it names and a milder outcome', async () => {
  const { asked, explained, why } = await explainedRows(false)
  let found = 0
  for (const [index, { counterfactual }] of why.entries()) {
    const [row, own] = [asked[index], explained[index]]
    if (counterfactual === null || row === undefined || own === undefined) continue
    found += 1
    const then = await cascade(changedBy(row, counterfactual))
    assert.equal(then.score, counterfactual.scoreThen)
    assert.equal(decided(then.score), counterfactual.outcomeThen)
    assert.ok(OUTCOMES.indexOf(decided(then.score)) < OUTCOMES.indexOf(own.outcome))
  }
  assert.ok(found > 0.9 * explained.length, `${found} of ${explained.length} have one`)
  assert.ok(why.some(({ counterfactual }) => (counterfactual?.also.length ?? 0) > 0))
})

test('where the draft stands, the draft answers the changed row, too', async () => {
  const { asked, why } = await explainedRows(true)
  let found = 0
  for (const [index, { counterfactual }] of why.entries()) {
    const row = asked[index]
    if (counterfactual === null || row === undefined) continue
    found += 1
    const { draftScore } = await cascade(changedBy(row, counterfactual))
    assert.equal(draftScore, counterfactual.scoreThen)
  }
  assert.ok(found > 0)
})

test('each reason names the score that the cascade gives with the baseline value', async () => {
  const { asked, why } = await explainedRows(false)
  for (const [index, { reasons }] of why.entries()) {
    const row = asked[index]
    if (row === undefined) continue
    assert.ok(reasons.length > 0)
    for (const { feature, baseline, scoreAtBaseline, text } of reasons) {
      const changed = { feature, changedTo: baseline, also: [] }
      assert.equal((await cascade(changedBy(row, changed))).score, scoreAtBaseline)
      assert.match(text, /: .+; at its baseline .+ it would have scored [\d.e-]+$/)
    }
  }
})

test('a row that nothing makes milder has no counterfactual', async () => {
  const { explained } = await explainedRows(false)
  const stubborn = explained.map((each): Explained => ({
    ...each,
    ask: () => ({ outcome: each.outcome, rules: [] }),
  }))
  const { verifier } = model
  const why = await explainRows(stubborn, {
    baseline: info.baseline,
    score: (rows, count) => model.score(rows, count),
    verify: verifier === null ? null : { verifier, timeoutMs: Infinity },
  })
  assert.ok(why.length > 0 && why.every(({ counterfactual }) => counterfactual === null))
})

test('a row that a rule alone has flagged is told what would have kept the rule from it', async () => {
  const COUNT = FEATURE_NAMES.indexOf('card_count_1d')
  const rule = (row: Float64Array): Outcome => ((row[COUNT] ?? 0) > 3 ? 'block' : 'approve')
  const baseline = info.baseline[COUNT] ?? NaN
  assert.ok(baseline <= 3)
  const explained = flagged.map(({ row }): Explained => {
    const counted = row.slice()
    counted[COUNT] = 9
    // A score that nothing lowers: only the number of these payments is unusual.
    const nothing = { score: 0, draftScore: 0, verified: null }
    const ask = (asked: Float64Array) => ({ outcome: rule(asked), rules: [] })
    return { ...nothing, row: counted, outcome: 'block', ask }
  })
  const score = (rows: Float64Array, count: number) => model.score(rows, count)
  const why = await explainRows(explained, { baseline: info.baseline, score, verify: null })
  for (const [index, { reasons, counterfactual }] of why.entries()) {
    assert.deepEqual(reasons, [])
    assert.ok(counterfactual !== null)
    assert.equal(counterfactual.feature, 'card_count_1d')
    assert.equal(counterfactual.outcomeThen, 'approve')
    assert.ok(counterfactual.changedTo === 3, 'the least change that is enough')
    const changed = explained[index]?.row.slice() ?? assert.fail('no row')
    changed[COUNT] = 3
    assert.equal((await model.score(changed, 1))[0], counterfactual.scoreThen)
  }
  assert.ok(why.length > 0)
})
