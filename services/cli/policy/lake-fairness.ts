// Fairness of a policy from a backtest: the lake's decisions since the policy began, in the shadow or active, ruled by it
// again, and counted by the groups of the rule as the topics' are.

import type { PolicyDocument } from '../../core/policy/policy-document.ts'
import type { Ruleset } from '../../core/policy/ruleset.ts'
import { isSluiceError } from '../../core/errors.ts'
import { compiledByLists } from '../../core/backtest/guarded-policy.ts'
import { truthOf } from '../../core/backtest/backtest-row.ts'
import {
  FairnessCounts,
  type FairnessReport,
  type FairnessRule,
} from '../../core/scoring/fairness.ts'
import type { Mode } from '../../core/wire/records.ts'
import { openLakeSource } from '../backtest/lake-source.ts'
import { ListsOfRows } from '../backtest/lists-of-rows.ts'
import { featuresOf } from '../backtest/load-policies.ts'
import { ModelThresholds } from '../backtest/model-thresholds.ts'
import { printProgress } from '../command.ts'
import { fieldsOf, textOf } from '../model/evaluation-topics.ts'
import { isAlertedFor, isPromoted } from './promotion-tally.ts'

export interface LakeFairnessSource {
  readonly folder: string
  readonly store: string
  readonly configuredModel: string
  readonly document: PolicyDocument
  readonly inForce: Pick<Ruleset, 'segmentModes'>
  readonly segment: string | null
  readonly to: Mode
  readonly matureMs: number
  readonly rule: FairnessRule
  /** Decisions before this moment of the scorer's clock are not of the policy's time. */
  readonly decidedFromMs: number
}

/** Null, with the reason in words, where the lake cannot say. */
export type LakeFairness =
  | { readonly report: FairnessReport; readonly source: string }
  | { readonly report: null; readonly why: string }

/** @throws the signal's reason. */
export async function lakeFairness(
  source: LakeFairnessSource,
  signal: AbortSignal,
): Promise<LakeFairness> {
  try {
    return await counted(source, signal)
  } catch (error) {
    if (!isSluiceError(error)) throw error
    printProgress(`the lake ${source.folder} says nothing about fairness: ${error.message}`)
    return { report: null, why: `the lake ${source.folder} cannot be asked (${error.code})` }
  }
}

async function counted(source: LakeFairnessSource, signal: AbortSignal): Promise<LakeFairness> {
  const { folder, store, document, inForce, segment, to, matureMs, rule, decidedFromMs } = source
  const fields = fieldsOf(rule)
  const counts = new FairnessCounts(rule)
  const compiledFor = compiledByLists(document)
  const rows = await openLakeSource({
    ...{ folder, fromMs: -Infinity, endMs: Infinity, asOfMs: null, decidedFromMs },
    features: featuresOf([{ document }]),
    thresholds: new ModelThresholds({
      store,
      folders: [source.configuredModel],
      askedBy: document.thresholds.kind === 'model' ? [document.name] : [],
    }),
    lists: new ListsOfRows({
      store,
      names: document.lists.map(({ name }) => name),
      files: new Map(),
      fixed: null,
    }),
  })
  const maturity = { asOfMs: rows.asOfMs, maturityMs: matureMs }
  try {
    for await (const chunk of rows.rows(signal)) {
      for (const { input, lists, label } of chunk) {
        const truth = truthOf(input.transaction.eventTimeMs, label, maturity)
        if (truth === 'unknown') continue
        const ruling = compiledFor(lists).rule(input)
        if (!isPromoted(inForce, segment, ruling.segment)) continue
        const values = fields.map((field) => textOf(input.transaction, field))
        counts.add(values, truth === 'fraud', isAlertedFor(to, ruling.outcome))
      }
    }
  } finally {
    await rows.close()
  }
  return { report: counts.report(), source: `backtest over the lake ${folder}` }
}
