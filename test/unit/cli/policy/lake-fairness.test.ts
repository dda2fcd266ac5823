// Goal: fairness from the lake counts the policy's rulings on everything decided in its time, by the groups of the
// rule. Method: a lake whose decisions are made by thresholds, evaluated with another policy, compared with a count by
// hand.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  type LakeFairnessSource,
  lakeFairness,
} from '../../../../services/cli/policy/promotion-evidence.ts'
import type { FairnessRule } from '../../../../services/core/scoring/fairness.ts'
import { decidedLake, type DecidedLake } from '../../../support/decided-lake.ts'
import { folderStores } from '../../../support/folder-stores.ts'
import { temporaryFolder } from '../../../support/model-variants.ts'
import { policyOf } from '../../core/policy/policy-fixture.ts'

/** As the lake's decisions are stamped. */
const DECIDED_AT_MS = 1_800_000_000_000
const RULE: FairnessRule = {
  groups: [{ column: 'channel', edges: [] }],
  ...{ threshold: 'flag', falsePositiveRatioMax: 1.5, recallRatioMin: 0.8 },
  ...{ genuineMin: 50, fraudsMin: 5, confidence: 0.95 },
}
const POLICY = `apiVersion: sluice/v1
name: cards
match: strictest
thresholds: {flag: 0.4, block: 0.6}
segments:
  - {name: dear, when: transaction.referenceMinor >= 5000}
`

function sourceOf(folder: string, store: string): LakeFairnessSource {
  return {
    ...{ folder, stores: folderStores(store), configuredModel: store, document: policyOf(POLICY) },
    ...{
      inForce: { segmentModes: {} },
      segment: null,
      to: 'enforce',
      matureMs: 0,
      rule: RULE,
      decidedFromMs: -Infinity,
    },
  }
}

/** Rows with a rate and a first decision, and how many of them the policy blocks. */
function byHand({ samples }: DecidedLake) {
  const own = samples.filter(({ duplicateOfOffset }) => duplicateOfOffset === null)
  return { rows: own.length, blocked: own.filter(({ score }) => score >= 0.6).length }
}

test('all decisions of the time are ruled by the policy again, and none of before', async (t) => {
  const lake = await decidedLake(t, { transactions: 2_000 })
  const source = sourceOf(lake.folder, temporaryFolder(t, 'store'))
  const signal = new AbortController().signal
  const { report } = await lakeFairness(source, signal)
  ok(report !== null)
  const { rows, blocked } = byHand(lake)
  strictEqual(report.rows, rows)
  ok(report.findings.length > 1)
  const hits = report.findings.reduce(
    (sum, { falsePositives, recall }) => sum + falsePositives.group.hits + recall.group.hits,
    0,
  )
  strictEqual(hits, blocked)
  const later = await lakeFairness({ ...source, decidedFromMs: DECIDED_AT_MS + 1 }, signal)
  strictEqual(later.report?.rows, 0)
  const same = await lakeFairness({ ...source, decidedFromMs: DECIDED_AT_MS }, signal)
  strictEqual(same.report?.rows, rows)
})

test('a segment counts its own decisions only', async (t) => {
  const lake = await decidedLake(t, { transactions: 1_000 })
  const source = sourceOf(lake.folder, temporaryFolder(t, 'store'))
  const signal = new AbortController().signal
  const all = await lakeFairness(source, signal)
  const dear = await lakeFairness({ ...source, segment: 'dear' }, signal)
  const [of, rows] = [all.report?.rows ?? 0, dear.report?.rows ?? 0]
  ok(rows > 0 && rows < of, `${rows} of ${of}`)
})

test('what is no lake says nothing, and why', async (t) => {
  const folder = temporaryFolder(t, 'no-lake')
  const asked = await lakeFairness(sourceOf(folder, folder), new AbortController().signal)
  deepStrictEqual(asked.report, null)
  ok('why' in asked && asked.why.includes(folder))
})
