// Verifies a model folder: every file and every page of its documentation, then the nets themselves on the golden rows
// and on the shipped rows.

import { readdir, readFile, stat } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { SluiceError } from '../../services/core/errors.ts'
import { goldenError } from '../../services/core/scoring/golden.ts'
import { FEATURE_COUNT } from '../../services/core/features/catalogue/feature-list.ts'
import {
  type ModelMetrics,
  checkManifest,
  type ModelManifest,
} from '../../services/core/scoring/manifest.ts'
import { scoreCascade } from '../../services/core/scoring/cascade.ts'
import type { Backend, ScoringModel } from '../../services/core/scoring/scoring-model.ts'
import { repositoryRoot } from '../../services/platform/repository-root.ts'
import { openScoringModel } from '../../services/platform/tensorflow/scoring-model.ts'
import { measureScores } from '../../services/trainer/metrics.ts'
import { BOM_FIGURES, BOM_FILE, performanceOf, checkBom } from './bom.ts'
import {
  ROWS_FILE,
  parseRows,
  unpackRows,
  type EvaluationRows,
} from '../../services/trainer/dataset/evaluation-rows.ts'
import { TOLERANCE, RESULTS_FILE, bandOf, checkResults, type Results } from './results.ts'
import { sha256Of, SUMS_FILE, parseSums } from '../../services/trainer/model-folder.ts'
import { MOF_FILE, assess, presenceOf, parseMof } from './mof.ts'
import { HEADINGS, PAGES } from './page-parts.ts'
import { corrupt } from '../../services/core/scoring/field-reader.ts'

/** The checks, in order. */
export const CHECKS = ['files', 'results', 'bill', 'openness', 'pages', 'model', 'rows'] as const
export type Check = (typeof CHECKS)[number]

export interface CheckResult {
  readonly check: Check
  /** The finding when the check passes. */
  readonly said: string
  /** Mismatches, one sentence each; empty when the check passes. */
  readonly problems: readonly string[]
}

export interface Verification {
  readonly folder: string
  readonly isSound: boolean
  readonly checks: readonly CheckResult[]
}

/**
 * Runs every check, whether or not an earlier one found a problem.
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
    run('results', () => checkAgainstManifest(files), 'the results match the manifest'),
    run('bill', () => checkBill(files), 'bill of materials: form, digests, figures'),
    run('openness', () => checkOpenness(files, root), 'MOF.yml: form, locations, licences, class'),
    run('pages', () => checkPages(files), 'pages: every section, main figures'),
    ...(await checkNet(folder, files, backend)),
  ]
  return { folder, isSound: checks.every(({ problems }) => problems.length === 0), checks }
}

/** Opens the model, which must reproduce its golden scores, and scores the shipped rows with it. */
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
      { check: 'rows', said: '', problems: ['not computed, because the model does not open'] },
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
      const problems = files.has(ROWS_FILE)
        ? [`${ROWS_FILE} exists, but the results do not mention it`]
        : []
      return {
        check: 'rows',
        said: 'no rows are shipped, so no figure was recomputed',
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
    if (scores.some(Number.isNaN))
      problems.push('some rows have no score, so no figure is computed')
    else {
      const found = measureScores({ ...rows, scores }, thresholds)
      problems.push(...metricProblems(found, shipped.metrics))
    }
    return {
      check: 'rows',
      said:
        `${rows.rowCount} rows rescored: scores within ${TOLERANCE.score} (largest difference ` +
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
  if (rows.length !== rowCount * FEATURE_COUNT) problems.push('the rows have another feature list')
  if (sha256Of(text) !== shipped.textSha256) problems.push('the rows have another digest')
  return problems
}

function metricProblems(found: ModelMetrics, stated: ModelMetrics): readonly string[] {
  return BOM_FIGURES.flatMap(({ type, read }) => {
    // Written so that a NaN is also a problem.
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

/** Every file is listed with its digest, and no other file exists. */
export function checkSums(files: FolderFiles): readonly string[] {
  const sums = parseSums(textOf(files, SUMS_FILE))
  const listed = [...sums].flatMap(([path, digest]) => {
    const bytes = files.get(path)
    if (bytes === undefined) return [`${path} is listed in ${SUMS_FILE}, but missing`]
    const found = sha256Of(bytes)
    return found === digest ? [] : [`${path} has SHA-256 ${found}, but ${SUMS_FILE} says ${digest}`]
  })
  const unlisted = [...files.keys()]
    .filter((path) => path !== SUMS_FILE && !sums.has(path))
    .map((path) => `${path} exists, but is not listed in ${SUMS_FILE}`)
  return [...listed, ...unlisted]
}

/** The results belong to this manifest. */
export function checkAgainstManifest(files: FolderFiles): readonly string[] {
  const manifest = manifestOf(files)
  const results = resultsIn(files)
  const { name, version, metrics, thresholds, periods, target } = manifest
  const { cascade } = results
  const pairs: readonly (readonly [what: string, found: unknown, expected: unknown])[] = [
    ['model', results.model, { name, version }],
    ['metrics', results.metrics, metrics],
    ['cascade', cascade === null ? null : bandOf(cascade), target === null ? null : bandOf(target)],
    ['thresholds', results.thresholds, thresholds],
    ['costs', results.costs, manifest.costs],
    ['periods', results.periods, periods],
    ['transactions', results.history.transactions, manifest.data.transactions],
    ['labels', results.history.labels, manifest.data.labels],
    ['tolerance', results.tolerance, TOLERANCE],
  ]
  return pairs
    .filter(([, found, expected]) => JSON.stringify(found) !== JSON.stringify(expected))
    .map(([what]) =>
      what === 'tolerance'
        ? `${RESULTS_FILE}: ${what} is not that of this build`
        : `${RESULTS_FILE}: ${what} differs from manifest.json`,
    )
}

/** The bill names this model, all its files with their digests, and the figures of the results. */
export function checkBill(files: FolderFiles): readonly string[] {
  const bom = checkBom(jsonOf(files, BOM_FILE))
  const { name, version, data } = manifestOf(files)
  const problems: string[] = []
  if (bom.name !== name || bom.version !== version) {
    problems.push(`${BOM_FILE} is of model ${bom.name} ${bom.version}, not of ${name} ${version}`)
  }
  const digests = new Map([...files].map(([path, bytes]) => [path, sha256Of(bytes)]))
  if (bom.manifestSha256 !== digests.get('manifest.json')) {
    problems.push(`${BOM_FILE} has another digest for the model than manifest.json`)
  }
  for (const { path, sha256 } of bom.files) {
    const found = digests.get(path)
    if (found !== sha256) problems.push(`${BOM_FILE}: ${path} has SHA-256 ${found ?? '(no file)'}`)
    digests.delete(path)
  }
  for (const path of digests.keys()) {
    if (path !== BOM_FILE && path !== SUMS_FILE) problems.push(`${BOM_FILE} does not name ${path}`)
  }
  const rows = files.get(ROWS_FILE)
  const expected = [data.digest, ...(rows === undefined ? [] : [sha256Of(rows)])]
  if (bom.datasets.map(({ sha256 }) => sha256).join() !== expected.join()) {
    problems.push(`${BOM_FILE} has other digests of the data than the folder`)
  }
  const text = ({ type, slice, value }: (typeof bom.figures)[number]): string =>
    `${type} of ${slice}: ${value}`
  const wanted = performanceOf(resultsIn(files)).map(text)
  const stated = bom.figures.map(text)
  for (const line of wanted.filter((figure) => !stated.includes(figure))) {
    problems.push(`${BOM_FILE} does not state ${line}`)
  }
  for (const line of stated.filter((figure) => !wanted.includes(figure))) {
    problems.push(`${BOM_FILE} states ${line}, which ${RESULTS_FILE} does not`)
  }
  return problems
}

/** Every location exists, every licence has its statement, and the stated class is the one reached. */
export function checkOpenness(files: FolderFiles, root: string): readonly string[] {
  const { release, assessment } = parseMof(textOf(files, MOF_FILE))
  const { name, version } = manifestOf(files)
  const problems: string[] = []
  if (release.name !== name || release.version !== version) {
    problems.push(`${MOF_FILE} is of ${release.name} ${release.version}, not of ${name} ${version}`)
  }
  const isPresent = presenceOf([...files.keys()], root)
  for (const component of release.components) {
    const { name: part, location, license_name: licence, license_path: path } = component
    if (location !== '' && !isPresent(location)) {
      problems.push(`${MOF_FILE}: "${part}" is not at ${location}`)
    }
    if (licence === '') continue
    const statement = files.get(path)?.toString('utf8') ?? ''
    if (!statement.includes(`\nSPDX-License-Identifier: ${licence}\n`)) {
      problems.push(`${MOF_FILE}: "${part}" is under ${licence}, which ${path} does not state`)
    }
  }
  const reached = assess(release.components, isPresent)
  if (JSON.stringify(reached) !== JSON.stringify(assessment)) {
    problems.push(
      `${MOF_FILE} states class ${assessment.class}, but the components reach class ${reached.class} ` +
        `(missing for the next: ${reached.missing_for_next_class.join(', ') || 'nothing'})`,
    )
  }
  return problems
}

/** Each page has all its sections, none of them empty, belongs to this model, and states its main figures. */
export function checkPages(files: FolderFiles): readonly string[] {
  const results = resultsIn(files)
  const { version, featureListHash } = manifestOf(files)
  const { validation, test } = results.metrics
  const { flag, block } = results.thresholds
  const band = results.cascade === null ? [] : [results.cascade.verifyFrom.toFixed(4)]
  const facts: Readonly<Record<(typeof PAGES)[number], readonly string[]>> = {
    'MODEL_CARD.md': [
      validation.averagePrecision.toFixed(3),
      test.averagePrecision.toFixed(3),
      test.brier.toFixed(5),
      flag.toFixed(4),
      block.toFixed(4),
      ...band,
    ],
    'DATA_CARD.md': [featureListHash, String(results.history.transactions)],
    'TECHNICAL_REPORT.md': [test.averagePrecision.toFixed(3), flag.toFixed(4), ...band],
  }
  return PAGES.flatMap((page) => {
    const text = textOf(files, page)
    const sections = new Map(
      text.split(/^## /m).map((section) => {
        const end = section.indexOf('\n')
        return [section.slice(0, end), section.slice(end).trim()]
      }),
    )
    const empty = HEADINGS[page].filter((heading) => (sections.get(heading) ?? '') === '')
    const unsaid = [version, results.caveat, ...facts[page]].filter((fact) => !text.includes(fact))
    return [
      ...empty.map((heading) => `${page} has nothing under "${heading}"`),
      ...unsaid.map((fact) => `${page} does not say "${fact}"`),
    ]
  })
}

export function manifestOf(files: FolderFiles): ModelManifest {
  return checkManifest(jsonOf(files, 'manifest.json'))
}

export function resultsIn(files: FolderFiles): Results {
  return checkResults(jsonOf(files, RESULTS_FILE))
}

const FILES_MAX = 256
const FILE_BYTES_MAX = 64 * 1024 * 1024

/** Bytes by path in the folder, with forward slashes. */
export type FolderFiles = ReadonlyMap<string, Buffer>

/**
 * Reads all files of a model folder, within limits.
 * @throws SluiceError SLUICE_USAGE when there is no such folder, SLUICE_MODEL_CORRUPT when it holds too much.
 */
export async function readFolderFiles(folder: string): Promise<FolderFiles> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(
    (error: unknown) => {
      throw new SluiceError('SLUICE_USAGE', `${folder} is not a readable folder.`, {
        cause: error,
      })
    },
  )
  const paths = entries
    .filter((entry) => !entry.isDirectory())
    .map(({ parentPath, name }) => join(parentPath, name))
  if (paths.length > FILES_MAX) throw corrupt(`the folder holds more than ${FILES_MAX} files`)
  const files = new Map<string, Buffer>()
  for (const path of paths.toSorted()) {
    const { size } = await stat(path)
    const name = relative(folder, path).split(sep).join('/')
    if (size > FILE_BYTES_MAX) throw corrupt(`${name} has ${size} bytes`)
    files.set(name, await readFile(path))
  }
  return files
}

/** The text of one file. @throws SluiceError SLUICE_MODEL_CORRUPT when it is missing. */
export function textOf(files: FolderFiles, path: string): string {
  return bytesOf(files, path).toString('utf8')
}

/** The bytes of one file. @throws SluiceError SLUICE_MODEL_CORRUPT when it is missing. */
export function bytesOf(files: FolderFiles, path: string): Buffer {
  const bytes = files.get(path)
  if (bytes === undefined) throw corrupt(`${path} is missing`)
  return bytes
}

/** The value of a JSON file. @throws SluiceError SLUICE_MODEL_CORRUPT when it is missing or not JSON. */
export function jsonOf(files: FolderFiles, path: string): unknown {
  const text = textOf(files, path)
  try {
    return JSON.parse(text)
  } catch (error) {
    throw corrupt(`${path} is not JSON`, error)
  }
}
