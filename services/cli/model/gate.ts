// The fairness gate of an activation: reads rule and rows, and prints a table of results.

import { readFile } from 'node:fs/promises'
import { SluiceError } from '../../core/errors.ts'
import {
  checkFairnessRule,
  FairnessCounts,
  type FairnessReport,
  type FairnessRule,
  type RateComparison,
} from '../../core/scoring/fairness.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import { EnvReader } from '../../platform/config/env-reader.ts'
import type { ControlAccess } from '../../platform/kafka/control-topic.ts'
import { printProgress } from '../command.ts'
import { tableLines } from '../table.ts'
import { countFile, countTopics } from './candidate-rows.ts'

/** Feature columns hold no earlier payments, which the large net reads. */
const DRAFT_ONLY =
  'The candidate is a cascade: rows of features are judged by its draft alone. To judge the whole, give a file with a ' +
  'column "score", or with the columns of the payments before.'

export interface GateOptions {
  readonly fairness?: string
  readonly evaluation?: string
  readonly mature: number
}

/** Null when the gate is passed or none is set; else the breach. @throws SluiceError for a gate that cannot judge. */
export async function runGate(
  candidate: ScoringModel,
  options: GateOptions,
  access: ControlAccess,
  signal: AbortSignal,
): Promise<string | null> {
  const rule = await readFairnessRule(options.fairness)
  if (rule === null) return null
  const { evaluation } = options
  if (evaluation === undefined) {
    throw new SluiceError(
      'SLUICE_USAGE',
      'A fairness gate is set, so rows to judge by are needed: give --evaluation with a file, or "topics".',
    )
  }
  const counts = new FairnessCounts(rule)
  const source = { candidate, rule, counts }
  if (evaluation === 'topics') {
    const read = new EnvReader(process.env)
    const eventAheadMsMax = read.value('SLUICE_EVENT_AHEAD_MS_MAX')
    read.throwIfInvalid()
    await countTopics(source, access, { matureMs: options.mature, eventAheadMsMax }, signal)
  } else {
    const scoredBy = await countFile(source, evaluation)
    if (candidate.verifier !== null && scoredBy === 'draft') printProgress(DRAFT_ONLY)
  }
  const report = counts.report()
  for (const line of reportLines(report)) printProgress(line)
  if (report.findings.every(isUnjudged)) {
    return `the evaluation has too few rows to judge any group (${report.rows} rows)`
  }
  return report.breaches === 0 ? null : breachText(report)
}

/** The rule of this file, else of the environment; null when none is set. @throws SluiceError SLUICE_INPUT_INVALID */
export async function readFairnessRule(fairness: string | undefined): Promise<FairnessRule | null> {
  const read = new EnvReader(process.env)
  const file = fairness ?? read.value('SLUICE_FAIRNESS_RULE')
  read.throwIfInvalid()
  if (file === null) return null
  try {
    return checkFairnessRule(JSON.parse(await readFile(file, 'utf8')), file)
  } catch (error) {
    if (error instanceof SluiceError) throw error
    const problem = error instanceof Error ? error.message : String(error)
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `The fairness rule ${file} cannot be read: ${problem}.`,
      {
        cause: error,
      },
    )
  }
}

function isUnjudged({ falsePositives, recall }: FairnessReport['findings'][number]): boolean {
  return falsePositives.verdict === 'too_few' && recall.verdict === 'too_few'
}

/** A table, one line for each group. */
export function reportLines({ rows, findings }: FairnessReport): readonly string[] {
  return [
    `fairness gate over ${rows} rows: rate of the group [interval] against all others`,
    ...tableLines(
      findings.map(({ column, value, falsePositives, recall }) => [
        `${column}=${value}`,
        `false positives ${rateText(falsePositives)}`,
        `recall ${rateText(recall)}`,
      ]),
      { indent: '  ' },
    ),
  ]
}

function rateText({ group, others, ratio, verdict }: RateComparison): string {
  const percent = (share: number | null): string =>
    share === null ? '-' : `${(100 * share).toFixed(2)}%`
  const times = ratio === null ? '' : `, ${ratio.toFixed(2)}x`
  const words = { fair: 'ok', breach: 'BREACH', too_few: 'too few' } as const
  return (
    `${percent(group.share)} [${percent(group.low)}, ${percent(group.high)}] of ${group.cases} ` +
    `against ${percent(others.share)}${times}: ${words[verdict]}`
  )
}

function breachText({ findings }: FairnessReport): string {
  return findings
    .flatMap(({ column, value, falsePositives, recall }) => [
      ...(falsePositives.verdict === 'breach'
        ? [
            `false-positive rate of ${column}=${value} is ${(falsePositives.ratio ?? Infinity).toFixed(2)}x that of the others`,
          ]
        : []),
      ...(recall.verdict === 'breach'
        ? [`recall of ${column}=${value} is ${recall.ratio?.toFixed(2) ?? '?'}x that of the others`]
        : []),
    ])
    .join('; ')
}
