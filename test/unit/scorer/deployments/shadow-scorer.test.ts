// The shadow on real models: the first stage of the released one decides, a copy with other thresholds is the shadow.
// Cascades: shadow-cascade.test.ts.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { outcomeOf } from '../../../../services/core/decision/decide.ts'
import { FEATURE_COUNT } from '../../../../services/core/features/catalogue/feature-list.ts'
import { builtInPolicy } from '../../../../services/core/policy/score-ruling.ts'
import { checkGolden } from '../../../../services/core/scoring/golden.ts'
import type { DecisionRecord } from '../../../../services/core/wire/records.ts'
import { openLogger } from '../../../../services/platform/log.ts'
import { createScorerTelemetry } from '../../../../services/platform/metrics/scorer-telemetry.ts'
import { openScoringModel } from '../../../../services/platform/tensorflow/scoring-model.ts'
import { noBlocks } from '../../../../services/scorer/publish/partition-blocks.ts'
import type { DecidedBatch } from '../../../../services/scorer/batch/micro-batch.ts'
import {
  SHADOW_ROWS_MAX,
  ShadowScorer,
} from '../../../../services/scorer/deployments/shadow-scorer.ts'
import { draftVariantOf, RELEASED_MODEL } from '../../../support/model-variants.ts'
import { eventually } from '../../../support/poll.ts'
import { DECIDE_BY_AMOUNT } from '../decide-by-amount.ts'
import { fullTransaction } from '../../core/wire/samples.ts'
import { seriesOf } from '../../../../services/cli/metrics-page.ts'

const POLICY = builtInPolicy({ mode: 'flag', leaseMs: 1, unscoredOutcome: 'flag' })
const STRICT = { flag: 0.001, block: 0.01 }
const golden = checkGolden(
  JSON.parse(readFileSync(join(RELEASED_MODEL, 'golden.json'), 'utf8')),
  FEATURE_COUNT,
  'golden.json',
  false,
)

async function setUp(t: TestContext) {
  const telemetry = createScorerTelemetry()
  const log = openLogger('test', 'silent', 'json')
  const shadow = new ShadowScorer({ telemetry, log })
  t.after(() => shadow.close())
  const { folder } = draftVariantOf(t, 'strict', STRICT)
  shadow.set(await openScoringModel({ folder, backend: 'cpu' }))
  const active = await openScoringModel({ folder: RELEASED_MODEL, backend: 'cpu' })
  t.after(() => {
    active.close()
  })
  const scores = await active.score(golden.rows, golden.rowCount)
  const thresholds = { flag: active.info.flagThreshold, block: active.info.blockThreshold }
  const sum = async (name: string, part: Readonly<Record<string, string>> = {}) =>
    seriesOf(await telemetry.registry.metrics(), name)
      .filter(({ labels }) =>
        Object.entries(part).every(([label, value]) => labels[label] === value),
      )
      .reduce((total, { value }) => total + value, 0)
  return { shadow, scores, thresholds, sum }
}

/** The golden rows, decided. */
function decidedOf(
  scores: Float64Array,
  thresholds: { flag: number; block: number },
): DecidedBatch {
  const decisions = Array.from(scores, (score, index): DecisionRecord => {
    const isScored = !Number.isNaN(score)
    return {
      offset: index,
      revision: 0,
      transactionId: `t${index}`,
      card: 'c',
      eventTimeMs: index,
      amountMinor: 1_000,
      currency: 'EUR',
      outcome: isScored ? outcomeOf(score, thresholds) : 'flag',
      score: isScored ? score : null,
      notScored: isScored ? null : 'invalid_score',
      duplicateOfOffset: null,
      annotations: [],
      reasons: [],
      entityAgeMs: null,
      causeOffset: null,
      segment: null,
      rules: [],
    }
  })
  return {
    decisions,
    features: golden.rows,
    states: new Uint8Array(golden.rows.length),
    sequences: null,
    alerts: [],
    alerted: [],
    amountsMinor: decisions.map(() => 1_000),
    labelled: [],
    duplicates: 0,
    recomputed: 0,
    blocks: noBlocks().take(DECIDE_BY_AMOUNT),
    transactions: decisions.map(() => fullTransaction),
    policyFailures: new Map(),
    cascade: null,
    featuresMs: 0,
    scoreMs: 0,
  }
}

function labelOf(transactionId: string, verdict: 'fraud' | 'genuine'): DecidedBatch['labelled'][0] {
  const places = { merchant: null, terminal: null, device: null, ipNetwork: null }
  const label = { transactionId, card: 'c', eventTimeMs: 0, knownAtMs: 1, verdict, ...places }
  return { label: { ...label, source: 'analyst' }, outcome: null }
}

test('each row is judged by both models, and each pair of outcomes counted', async (t) => {
  const { shadow, scores, thresholds, sum } = await setUp(t)
  const expected = new Map<string, number>()
  for (const score of scores) {
    if (Number.isNaN(score)) continue
    const pair = `${outcomeOf(score, thresholds)} ${outcomeOf(score, STRICT)}`
    expected.set(pair, (expected.get(pair) ?? 0) + 1)
  }
  ok(expected.size > 1, 'the two models never disagree here')
  shadow.offer(decidedOf(scores, thresholds), POLICY)
  const scored = [...expected.values()].reduce((total, count) => total + count, 0)
  await eventually('all rows are scored', async () => {
    return (await sum('sluice_shadow_rows_total', { result: 'scored' })) === scored
  })
  for (const [pair, count] of expected) {
    const [active = '', own = ''] = pair.split(' ')
    strictEqual(await sum('sluice_shadow_outcomes_total', { active, shadow: own }), count, pair)
  }
  strictEqual(await sum('sluice_shadow_score_count'), scored)
  strictEqual(await sum('sluice_shadow_active_score_count'), scored)
  strictEqual(
    await sum('sluice_shadow_rows_total', { result: 'not_scored' }),
    golden.rowCount - scored,
  )
})

test('a label is held against both outcomes, once, with its amount', async (t) => {
  const { shadow, scores, thresholds, sum } = await setUp(t)
  // A row on which only the stricter model alerts.
  const index = scores.findIndex((score) => score >= STRICT.flag && score < STRICT.block)
  ok(index >= 0)
  const decided = decidedOf(scores, thresholds)
  shadow.offer(decided, POLICY)
  const labels = [
    labelOf(`t${index}`, 'fraud'),
    labelOf(`t${index}`, 'fraud'),
    labelOf('x', 'genuine'),
  ]
  const none = { ...decided, decisions: [], amountsMinor: [], labelled: labels }
  shadow.offer({ ...none, features: new Float64Array(), states: new Uint8Array() }, POLICY)
  await eventually('the labels are met', async () => {
    return (await sum('sluice_shadow_labels_total')) === labels.length
  })
  const name = 'sluice_shadow_labelled_total'
  strictEqual(await sum(name), 2)
  strictEqual(await sum(name, { role: 'active', outcome: 'approve', verdict: 'fraud' }), 1)
  strictEqual(await sum(name, { role: 'shadow', outcome: 'flag', verdict: 'fraud' }), 1)
  const amount = 'sluice_shadow_labelled_amount_reference_total'
  strictEqual(await sum(amount, { role: 'active', verdict: 'fraud' }), 10)
  strictEqual(await sum('sluice_shadow_labels_total', { result: 'not_kept' }), 2)
})

test('more rows than may wait are left out and counted; nothing grows', async (t) => {
  const { shadow, scores, thresholds, sum } = await setUp(t)
  const decided = decidedOf(scores, thresholds)
  const offers = Math.ceil(SHADOW_ROWS_MAX / golden.rowCount) + 5
  // In one turn of the event loop, so that none is scored in between.
  for (let offer = 0; offer < offers; offer += 1) shadow.offer(decided, POLICY)
  const dropped = await sum('sluice_shadow_rows_total', { result: 'dropped' })
  ok(dropped >= 5 * golden.rowCount, `${dropped} dropped`)
  await eventually('the rest is scored', async () => {
    return (await sum('sluice_shadow_rows_total')) === offers * golden.rowCount
  })
})

test('without a shadow nothing is kept or counted, and a new one begins anew', async (t) => {
  const { shadow, scores, thresholds, sum } = await setUp(t)
  const decided = decidedOf(scores, thresholds)
  shadow.offer(decided, POLICY)
  shadow.set(null)
  shadow.offer(decided, POLICY)
  strictEqual(shadow.digest, null)
  await shadow.close()
  deepStrictEqual(
    [await sum('sluice_shadow_rows_total'), await sum('sluice_shadow_sample_share')],
    [0, 0],
  )
})
