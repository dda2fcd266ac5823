// Builds the whole documentation of a model folder when a run writes the folder.

import { stringify } from 'yaml'
import { repositoryRoot } from '../../services/platform/repository-root.ts'
import { jsonBytes, SUMS_FILE, sumsOf } from '../../services/trainer/model-folder.ts'
import { BOM_FILE, bomOf } from './bom.ts'
import { dataCard } from './data-card.ts'
import { ROWS_FILE, shipRows } from '../../services/trainer/dataset/evaluation-rows.ts'
import { licenceFiles } from './licence-files.ts'
import { modelCard } from './model-card.ts'
import { MOF_FILE, mofOf, presenceOf } from './mof.ts'
import type { Release } from '../../services/trainer/release.ts'
import { RESULTS_FILE, checkResults, resultsOf } from './results.ts'
import { technicalReport } from './technical-report.ts'

/** The files of the model and its documentation, by path in the folder. The same release gives the same bytes. */
export function withModelDocumentation(release: Release): Readonly<Record<string, Buffer>> {
  const { manifest, terms, releasedOn } = release
  const shipped = terms.shipsRows ? shipRows(release.test, manifest.features) : null
  const results = resultsOf(release, shipped)
  checkResults(results)
  const described: Record<string, Buffer> = {
    ...release.files,
    [RESULTS_FILE]: jsonBytes(results),
    ...(shipped === null ? {} : { [ROWS_FILE]: shipped.bytes }),
    'MODEL_CARD.md': modelCard(release, results),
    'DATA_CARD.md': dataCard(release, results),
    'TECHNICAL_REPORT.md': technicalReport(release, results),
  }
  Object.assign(
    described,
    licenceFiles([...Object.keys(described), MOF_FILE, BOM_FILE, SUMS_FILE], terms),
  )
  const isPresent = presenceOf(Object.keys(described), repositoryRoot())
  const mof = mofOf(
    { name: manifest.name, version: manifest.version, releasedOn },
    terms,
    isPresent,
  )
  described[MOF_FILE] = Buffer.from(stringify(mof, { lineWidth: 0 }))
  described[BOM_FILE] = jsonBytes(bomOf(release, results, described))
  return { ...described, [SUMS_FILE]: sumsOf(described) }
}
