// Verifies a model folder: every file and paper, then the nets themselves on the golden rows and on the shipped ones.

import { SluiceError } from '../../services/core/errors.ts'
import { goldenError } from '../../services/core/scoring/golden.ts'
import { FEATURE_COUNT } from '../../services/core/features/catalogue/feature-list.ts'
import type { ModelMetrics } from '../../services/core/scoring/manifest.ts'
import { scoreCascade } from '../../services/core/scoring/score-cascade.ts'
import type { Backend, ScoringModel } from '../../services/core/scoring/scoring-model.ts'
import { repositoryRoot } from '../../services/platform/repository-root.ts'
import { openScoringModel } from '../../services/platform/tensorflow/scoring-model.ts'
import { measureScores } from '../../services/trainer/metrics.ts'
import { BOM_FIGURES } from './bom.ts'
import {
  ROWS_FILE,
  parseRows,
  unpackRows,
  type EvaluationRows,
} from '../../services/trainer/evaluation-rows.ts'
import { bytesOf, readFolderFiles, type FolderFiles } from './folder-files.ts'
import {
  checkAgainstManifest,
  checkBill,
  checkOpenness,
  checkPages,
  checkSums,
  manifestOf,
  resultsIn,
} from './document-checks.ts'
import { TOLERANCE } from './results.ts'
import { sha256Of } from '../../services/trainer/sums.ts'

/** What is checked, in this order. */
export const CHECKS = ['files', 'results', 'bill', 'openness', 'pages', 'model', 'rows'] as const
export type Check = (typeof CHECKS)[number]

export interface CheckResult {
  readonly check: Check
  /** What was found to be right. */
  readonly said: string
  /** What does not match, one sentence each; none when all is well. */
  readonly problems: readonly string[]
}

export interface Verification {
  readonly folder: string
  readonly isSound: boolean
  readonly checks: readonly CheckResult[]
}

/**
 * Checks everything, going on after what does not match.
 * @throws SluiceError SLUICE_USAGE when there is no such folder.
 */
export async function verifyModelFolder(
  folder: string,
  backend: Backend | 'auto' = 'auto',
): Promise<Verification> {
  const files = await readFolderFiles(folder)
  const root = repositoryRoot()
  const checks: CheckResult[] = [
    run('files', () => checkSums(files), `${files.size - 1} files have the digests of SHA256SUMS`),
    run('results', () => checkAgainstManifest(files), 'results are those of the manifest'),
    run('bill', () => checkBill(files), 'bill of materials: form, digests, figures'),
    run('openness', () => checkOpenness(files, root), 'MOF.yml: form, locations, licences, class'),
    run('pages', () => checkPages(files), 'pages: every section, main figures'),
    ...(await checkNet(folder, files, backend)),
  ]
  return { folder, isSound: checks.every(({ problems }) => problems.length === 0), checks }
}

/** Opens the model, which reproduces its golden scores, and scores the shipped rows with it. */
async function checkNet(
  folder: string,
  files: FolderFiles,
  backend: Backend | 'auto',
): Promise<readonly CheckResult[]> {
  let model: ScoringModel
  try {
    model = await openScoringModel({ folder, backend })
  } catch (error) {
    const problems = [problemOf(error)]
    return [
      { check: 'model', said: '', problems },
      { check: 'rows', said: '', problems: ['not computed, as the model does not open'] },
    ]
  }
  try {
    const { backend: used, trials } = model.info
    const golden = trials.find(({ result }) => result === 'used')?.goldenErrorMax ?? Infinity
    const opened: CheckResult = {
      check: 'model',
      said: `opens on ${used}; golden scores within ${TOLERANCE.score} (largest difference ${golden.toExponential(1)})`,
      problems: [],
    }
    return [opened, await checkRows(files, model)]
  } finally {
    model.close()
  }
}

async function checkRows(files: FolderFiles, model: ScoringModel): Promise<CheckResult> {
  try {
    const { shipped, thresholds } = resultsIn(files)
    if (shipped === null) {
      const problems = files.has(ROWS_FILE) ? [`${ROWS_FILE} is there, but no result is of it`] : []
      return {
        check: 'rows',
        said: 'no rows are shipped, so no figure was computed again',
        problems,
      }
    }
    const text = unpackRows(bytesOf(files, ROWS_FILE))
    const rows = parseRows(text, manifestOf(files).features)
    const problems = countProblems(rows, text, shipped)
    const { scores } = await scoreCascade(model, rows, rows.rowCount)
    const error = goldenError(rows.scores, scores)
    if (error > TOLERANCE.score) {
      problems.push(`scores differ by up to ${error.toExponential(1)}, allowed ${TOLERANCE.score}`)
    }
    if (scores.some(Number.isNaN)) problems.push('rows are not scored, so no figure is computed')
    else {
      const found = measureScores({ ...rows, scores }, thresholds)
      problems.push(...metricProblems(found, shipped.metrics))
    }
    return {
      check: 'rows',
      said:
        `${rows.rowCount} rows scored again: scores within ${TOLERANCE.score} (largest difference ` +
        `${error.toExponential(1)}), figures within ${TOLERANCE.metric}`,
      problems,
    }
  } catch (error) {
    return { check: 'rows', said: '', problems: [problemOf(error)] }
  }
}

function countProblems(
  { rowCount, truth, rows }: EvaluationRows,
  text: string,
  shipped: { readonly rows: number; readonly frauds: number; readonly textSha256: string },
): string[] {
  const problems: string[] = []
  const frauds = truth.reduce((sum, label) => sum + label, 0)
  if (rowCount !== shipped.rows || frauds !== shipped.frauds) {
    problems.push(
      `${ROWS_FILE} holds ${frauds} frauds in ${rowCount} rows, but the results say ${shipped.frauds} in ${shipped.rows}`,
    )
  }
  if (rows.length !== rowCount * FEATURE_COUNT) problems.push('rows have another feature list')
  if (sha256Of(text) !== shipped.textSha256) problems.push('the rows have another digest')
  return problems
}

function metricProblems(found: ModelMetrics, stated: ModelMetrics): readonly string[] {
  return BOM_FIGURES.flatMap(({ type, read }) => {
    // Written so that a figure that is no number is a problem, too.
    const isNear = Math.abs(read(found) - read(stated)) <= TOLERANCE.metric
    if (isNear) return []
    return [`${type} is ${read(found).toFixed(4)}, but the results say ${read(stated).toFixed(4)}`]
  })
}

function run(check: Check, problems: () => readonly string[], said: string): CheckResult {
  try {
    return { check, said, problems: problems() }
  } catch (error) {
    return { check, said: '', problems: [problemOf(error)] }
  }
}

function problemOf(error: unknown): string {
  if (!(error instanceof SluiceError)) throw error
  const { problem } = error.details
  return typeof problem === 'string' ? problem : error.message
}
