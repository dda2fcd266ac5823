// Goal: a shadow policy gets exactly the input of the active one, and decisions without room are counted.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { FEATURE_COUNT } from '../../../../services/core/features/catalogue/feature-list.ts'
import type { LoadedRuleset } from '../../../../services/core/policy/loaded-ruleset.ts'
import { builtInPolicy } from '../../../../services/core/policy/score-ruling.ts'
import { openLogger } from '../../../../services/platform/log.ts'
import type { DecidedBatch } from '../../../../services/scorer/batch/micro-batch.ts'
import {
  PolicyShadow,
  SHADOW_DECISIONS_MAX,
} from '../../../../services/scorer/deployments/policy-shadow.ts'
import { minimalTransaction } from '../../core/wire/samples.ts'

const THRESHOLDS = { flag: 0.5, block: 0.9 }
const BUILT_IN = builtInPolicy({ mode: 'enforce', leaseMs: 1_000, unscoredOutcome: 'flag' })

interface Decided {
  readonly annotations: readonly string[]
  readonly revision?: number
  readonly duplicateOfOffset?: number
}

/** The part of a batch that a shadow reads; every score is 0.95, and every decision a flag. */
function batchOf(decided: readonly Decided[]): DecidedBatch {
  return {
    decisions: decided.map((each) => ({
      ...{ outcome: 'flag', score: 0.95, revision: 0, duplicateOfOffset: null },
      ...each,
    })),
    transactions: decided.map(() => minimalTransaction),
    features: new Float64Array(decided.length * FEATURE_COUNT),
    states: new Uint8Array(decided.length * FEATURE_COUNT),
    amountsMinor: decided.map(() => 100),
  } as unknown as DecidedBatch
}

function setUp() {
  const seen: (readonly string[])[] = []
  const pairs: object[] = []
  let dropped = 0
  const shadow = new PolicyShadow({
    log: openLogger('test', 'silent', 'json'),
    telemetry: {
      policyShadowed: (some) => {
        pairs.push(...some)
      },
      policyShadowDropped: (count) => {
        dropped += count
      },
    },
  })
  const compiled: typeof BUILT_IN = {
    ...BUILT_IN,
    rule: (input) => {
      seen.push(input.annotations)
      return BUILT_IN.rule(input)
    },
  }
  shadow.set({ digest: 'd', policy: { compiled } } as unknown as LoadedRuleset)
  return { shadow, seen, pairs, dropped: () => dropped }
}

test('it is shown the annotations of before the ruling, and neither the ruling’s nor the guard’s', async () => {
  const { shadow, seen, pairs } = setUp()
  shadow.offer(
    batchOf([{ annotations: ['late', 'overridden', 'breaker_open', 'verified'] }]),
    THRESHOLDS,
  )
  await nextTurn()
  await nextTurn()
  deepStrictEqual(seen, [['late', 'verified']])
  deepStrictEqual(pairs, [{ active: 'flag', shadow: 'block' }])
  await shadow.close()
})

test('repeats and revisions are not judged', async () => {
  const { shadow, seen } = setUp()
  const batch = batchOf([
    { annotations: [], revision: 1 },
    { annotations: [], duplicateOfOffset: 3 },
  ])
  shadow.offer(batch, THRESHOLDS)
  await nextTurn()
  await nextTurn()
  strictEqual(seen.length, 0)
  await shadow.close()
})

test('what finds no place is counted and left out', async () => {
  const { shadow, dropped } = setUp()
  const many = batchOf(Array.from({ length: SHADOW_DECISIONS_MAX }, () => ({ annotations: [] })))
  shadow.offer(many, THRESHOLDS)
  shadow.offer(batchOf([{ annotations: [] }]), THRESHOLDS)
  strictEqual(dropped(), 1)
  await shadow.close()
})
