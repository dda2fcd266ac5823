// Checks of a model folder that need no net: sums, results, bill of materials, MOF, pages, licences. Each returns what
// does not match, one sentence each, and throws when a file cannot be read at all.

import { checkManifest, type ModelManifest } from '../../services/core/scoring/manifest.ts'
import { BOM_FILE, performanceOf } from './bom.ts'
import { checkBom } from './bom-check.ts'
import { ROWS_FILE } from '../../services/trainer/evaluation-rows.ts'
import { jsonOf, textOf, type FolderFiles } from './folder-files.ts'
import { MOF_FILE, assess, presenceOf } from './mof.ts'
import { parseMof } from './mof-check.ts'
import { HEADINGS, PAGES } from './page-parts.ts'
import { RESULTS_FILE, bandOf, checkResults, TOLERANCE, type Results } from './results.ts'
import { SUMS_FILE, parseSums, sha256Of } from '../../services/trainer/sums.ts'

/** Every file is listed with its digest, and nothing else is there. */
export function checkSums(files: FolderFiles): readonly string[] {
  const sums = parseSums(textOf(files, SUMS_FILE))
  const listed = [...sums].flatMap(([path, digest]) => {
    const bytes = files.get(path)
    if (bytes === undefined) return [`${path} is listed in ${SUMS_FILE}, but not there`]
    const found = sha256Of(bytes)
    return found === digest ? [] : [`${path} has SHA-256 ${found}, but ${SUMS_FILE} says ${digest}`]
  })
  const unlisted = [...files.keys()]
    .filter((path) => path !== SUMS_FILE && !sums.has(path))
    .map((path) => `${path} is there, but not listed in ${SUMS_FILE}`)
  return [...listed, ...unlisted]
}

/** The results are those of this manifest. */
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
    problems.push(`${BOM_FILE} has another digest for the model than manifest.json has`)
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

/** Every location is there, every licence has its statement, and the class is the one that this reaches. */
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
      `${MOF_FILE} states class ${assessment.class}, but what is there reaches class ${reached.class} ` +
        `(lacking for the next: ${reached.missing_for_next_class.join(', ') || 'nothing'})`,
    )
  }
  return problems
}

/** Each page has all its sections, none empty, is of this model, and states its main figures. */
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
