// Rows of a backtest from the lake: features, scores and annotations as they were when it was decided.

import type { Thresholds } from '../../core/decision/decide.ts'
import { isAnnotationOfRuling, shownAnnotations } from '../../core/decision/shown-annotations.ts'
import { DEFAULT_RATES } from '../../core/currency.ts'
import { erasedText } from '../../core/lake/lake-log.ts'
import type { PolicyLists } from '../../core/policy/policy-lists.ts'
import type { BacktestRow } from '../../core/backtest/backtest-row.ts'
import { openDecided, readErasures, type DecidedRow } from '../../lake/index.ts'
import { printProgress } from '../command.ts'
import type { DecidedBy, ListsOfRows } from './lists-of-rows.ts'
import type { ModelThresholds } from './model-thresholds.ts'
import type { RowSource } from './row-source.ts'

export interface LakeSourceOptions {
  readonly folder: string
  readonly fromMs: number
  readonly endMs: number
  /** Null is the newest moment that the lake knows. */
  readonly asOfMs: number | null
  /** Only what was decided from this moment of the scorer's clock on; all without it. */
  readonly decidedFromMs?: number
  readonly features: readonly string[]
  readonly thresholds: ModelThresholds
  readonly lists: ListsOfRows
}

const NO_ANNOTATIONS: readonly string[] = []

/** @throws SluiceError as openDecided. */
export async function openLakeSource(options: LakeSourceOptions): Promise<RowSource> {
  const { folder } = options
  const erased = erasedText(await readErasures(folder))
  const decided = await openDecided(options)
  const withoutRate = { count: 0 }
  return {
    name: `lake ${folder}`,
    asOfMs: decided.asOfMs,
    warnings: erased === null ? [] : [erased],
    async *rows(signal) {
      for (const [index, day] of decided.days.entries()) {
        for await (const chunk of decided.rows(day)) {
          signal.throwIfAborted()
          yield await backtestRows(chunk, options, withoutRate)
        }
        printProgress(`${day}, day ${index + 1} of ${decided.days.length}`)
      }
    },
    leftOut: () => ({ ...decided.leftOut, without_rate: withoutRate.count }),
    emptyProblem: () => {
      const { span } = decided
      if (span === null) {
        return `${folder} holds no decisions; "sluice lake ingest" takes them from the topics. Files of others are backtested with --data.`
      }
      const [first, last] = [span.firstMs, span.lastMs].map((ms) => new Date(ms).toISOString())
      return `${folder} has decisions from ${first ?? ''} to ${last ?? ''}; change --from and --to.`
    },
    close: () => decided.close(),
  }
}

async function backtestRows(
  chunk: readonly DecidedRow[],
  { thresholds, lists: listsOfRows }: LakeSourceOptions,
  withoutRate: { count: number },
): Promise<readonly BacktestRow[]> {
  const rows: BacktestRow[] = []
  let [digest, modelThresholds] = ['', null as Thresholds | null]
  let [by, lists] = [null as DecidedBy, null as PolicyLists | null]
  for (const { transaction, row, states, score, annotations, ...rest } of chunk) {
    if (modelThresholds === null || rest.modelDigest !== digest) {
      digest = rest.modelDigest
      modelThresholds = await thresholds.of(digest)
    }
    if (lists === null || by?.digest !== rest.policyDigest) {
      by = { digest: rest.policyDigest, version: rest.policyVersion }
      lists = await listsOfRows.of(by)
    }
    const { amountMinor, currency, eventTimeMs } = transaction
    const referenceMinor = DEFAULT_RATES.toReferenceMinor(amountMinor, currency, eventTimeMs)
    if (referenceMinor === null) {
      withoutRate.count += 1
      continue
    }
    listsOfRows.count(lists, by)
    // What the policy of the time has put there is no input of another one.
    const own = shownAnnotations(annotations)
    const said = own === annotations ? NO_ANNOTATIONS : annotations.filter(isAnnotationOfRuling)
    rows.push({
      input: { transaction, row, states, score, referenceMinor, modelThresholds, annotations: own },
      lists,
      decided: { outcome: rest.outcome, rules: rest.rules, annotations: said },
      label: rest.label,
    })
  }
  return rows
}
