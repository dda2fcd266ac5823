// bom.json: the bill of materials of a model folder in CycloneDX 1.6. It lists the model with its card, every file
// with its hash and licence, the data behind the model, and the library that reads it.

import type { Agreement } from '../../services/core/scoring/cascade.ts'
import type { ModelMetrics } from '../../services/core/scoring/manifest.ts'
import { LIMITS, NOT_FOR, RISKS, USERS, USES } from './model-card.ts'
import { ROWS_FILE } from '../../services/trainer/dataset/evaluation-rows.ts'
import type { IntervalFigure } from '../../services/trainer/metrics.ts'
import { type Release, licenceOfFile, type Licence } from '../../services/trainer/release.ts'
import type { Results } from './results.ts'
import { sha256Of } from '../../services/trainer/model-folder.ts'
import { corrupt, FieldReader, readString } from '../../services/core/scoring/field-reader.ts'

export const BOM_FILE = 'bom.json'
export const BOM_SCHEMA = 'http://cyclonedx.org/schema/bom-1.6.schema.json'
export const BOM_SPEC = '1.6'

const MODEL_REF = 'model'
const HISTORY_REF = 'data:history'
const ROWS_REF = 'data:evaluation-rows'
const LIBRARY_REF = 'library:tfjs'

/** Written where no licence is stated. */
export const NOT_STATED = 'not stated'

/** A figure of the bill: how it is read from metrics, and its interval. */
export const BOM_FIGURES: readonly {
  readonly type: string
  readonly read: (metrics: ModelMetrics) => number
  readonly interval: IntervalFigure | null
}[] = [
  { type: 'average precision', read: (of) => of.averagePrecision, interval: 'averagePrecision' },
  { type: 'area under the ROC curve', read: (of) => of.aucRoc, interval: 'aucRoc' },
  {
    type: 'recall at 0.1 % false positives',
    read: (of) => of.recallAtFalsePositives01Percent,
    interval: 'recallAtFalsePositives01Percent',
  },
  { type: 'Brier score', read: (of) => of.brier, interval: null },
  { type: 'precision of flags', read: (of) => of.flag.precision, interval: 'flagPrecision' },
  { type: 'recall of flags', read: (of) => of.flag.recall, interval: 'flagRecall' },
  { type: 'precision of blocks', read: (of) => of.block.precision, interval: 'blockPrecision' },
  { type: 'recall of blocks', read: (of) => of.block.recall, interval: 'blockRecall' },
]

/** Lower bounds of how often the cascade's outcome equals the target's. */
const AGREEMENTS: readonly {
  readonly type: string
  readonly read: (agreement: Agreement) => number
}[] = [
  { type: 'outcomes as of the target, at least', read: (of) => of.overallAtLeast },
  { type: 'flags of the target kept, at least', read: (of) => of.flagsAtLeast },
  { type: 'blocks of the target kept, at least', read: (of) => of.blocksAtLeast },
]

/** Builds the bill. `files` are all files of the folder except the bill itself and the list of sums. */
export function bomOf(
  release: Release,
  results: Results,
  files: Readonly<Record<string, Buffer>>,
): unknown {
  const { manifest, terms, method } = release
  const manifestSha256 = sha256Of(files['manifest.json'] ?? Buffer.alloc(0))
  const fileParts = Object.entries(files).map(([path, bytes]) => ({
    type: 'file',
    'bom-ref': `file:${path}`,
    name: path,
    hashes: hashesOf(sha256Of(bytes)),
    licenses: licencesOf(licenceOfFile(path, terms)),
  }))
  const datasets = datasetsOf(release, results, files)
  const library = {
    type: 'library',
    'bom-ref': LIBRARY_REF,
    name: '@tensorflow/tfjs',
    version: method.libraryVersion,
    licenses: licencesOf('Apache-2.0'),
    purl: `pkg:npm/%40tensorflow/tfjs@${method.libraryVersion}`,
  }
  return {
    $schema: BOM_SCHEMA,
    bomFormat: 'CycloneDX',
    specVersion: BOM_SPEC,
    serialNumber: `urn:uuid:${uuidOf(manifestSha256)}`,
    version: 1,
    metadata: {
      component: {
        type: 'machine-learning-model',
        'bom-ref': MODEL_REF,
        name: manifest.name,
        version: manifest.version,
        description: `Scores card transactions. ${release.caveat} The hash is that of manifest.json.`,
        hashes: hashesOf(manifestSha256),
        licenses: licencesOf(terms.data),
        modelCard: modelCardOf(
          release,
          results,
          datasets.map((dataset) => dataset['bom-ref']),
        ),
      },
    },
    components: [...fileParts, ...datasets, library],
    dependencies: [
      {
        ref: MODEL_REF,
        dependsOn: [...fileParts, ...datasets, library].map((part) => part['bom-ref']),
      },
    ],
  }
}

function datasetsOf(
  { manifest, terms }: Release,
  { shipped, history }: Results,
  files: Readonly<Record<string, Buffer>>,
) {
  const part = (ref: string, name: string, digest: string, description: string) => ({
    type: 'data',
    'bom-ref': ref,
    name,
    hashes: hashesOf(digest),
    licenses: licencesOf(terms.data),
    data: [{ type: 'dataset', name, description }],
  })
  const all = part(
    HISTORY_REF,
    'history',
    manifest.data.digest,
    `${manifest.data.source}: ${history.transactions} transactions, ${history.labels} labels. The hash is over all ` +
      'feature rows, event times and truths; see DATA_CARD.md.',
  )
  const rows = files[ROWS_FILE]
  if (shipped === null || rows === undefined) return [all]
  return [
    all,
    part(ROWS_REF, 'evaluation rows', sha256Of(rows), `${shipped.rows} rows: ${shipped.rule}.`),
  ]
}

function modelCardOf(
  { manifest, method }: Release,
  results: Results,
  datasetRefs: readonly string[],
): unknown {
  return {
    modelParameters: {
      approach: { type: 'supervised' },
      task: 'classification of card transactions as fraud or genuine',
      architectureFamily: method.family,
      modelArchitecture: method.architecture,
      datasets: datasetRefs.map((ref) => ({ ref })),
      inputs: [{ format: `${manifest.features.length} numbers, in the order of manifest.json` }],
      outputs: [{ format: 'probability of fraud, 0 to 1; no number when it cannot be scored' }],
    },
    quantitativeAnalysis: { performanceMetrics: performanceOf(results) },
    considerations: {
      users: USERS,
      useCases: [...USES, ...NOT_FOR.map((text) => `Not for: ${text}`)],
      technicalLimitations: [results.caveat, ...LIMITS],
      ethicalConsiderations: RISKS.map(({ name, mitigation }) => ({
        name,
        mitigationStrategy: mitigation,
      })),
    },
  }
}

/** Figures of each period; values are text, as CycloneDX requires. */
export function performanceOf({ metrics, cascade, intervals, shipped }: Results): readonly {
  readonly type: string
  readonly value: string
  readonly slice: string
}[] {
  const agreements = AGREEMENTS.flatMap(({ type, read }) =>
    cascade === null ? [] : [{ type, value: String(read(cascade.agreement)), slice: 'validation' }],
  )
  const periods = (['validation', 'test'] as const).flatMap((slice) =>
    BOM_FIGURES.map(({ type, read, interval }) => {
      const figure = { type, value: String(read(metrics[slice])), slice }
      if (interval === null) return figure
      const { low, high } = intervals[slice][interval]
      return {
        ...figure,
        confidenceInterval: { lowerBound: String(low), upperBound: String(high) },
      }
    }),
  )
  if (shipped === null) return [...periods, ...agreements]
  const own = BOM_FIGURES.map(({ type, read }) => ({
    type,
    value: String(read(shipped.metrics)),
    slice: 'shipped rows',
  }))
  return [...periods, ...agreements, ...own]
}

function hashesOf(sha256Hex: string) {
  return [{ alg: 'SHA-256', content: sha256Hex }]
}

function licencesOf(licence: Licence) {
  return [{ license: licence === null ? { name: NOT_STATED } : { id: licence } }]
}

/** A UUID derived from a digest, marked as made by our own rule (version 8). */
function uuidOf(digest: string): string {
  const variant = '89ab'[Number.parseInt(digest.charAt(16), 16) % 4] ?? '8'
  return [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `${variant}${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ].join('-')
}

const PARTS_MAX = 256
const TEXT_MAX = 4_000
const UUID = /^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const SPDX = ['Apache-2.0', 'CDLA-Permissive-2.0', 'CC-BY-4.0'] as const

export interface BomFigure {
  readonly type: string
  readonly slice: string
  readonly value: string
}

/** The parts of a bill that are compared with the folder. */
export interface CheckedBom {
  readonly name: string
  readonly version: string
  readonly manifestSha256: string
  readonly files: readonly { readonly path: string; readonly sha256: string }[]
  readonly datasets: readonly { readonly ref: string; readonly sha256: string }[]
  readonly figures: readonly BomFigure[]
}

interface Part {
  readonly type: string
  readonly ref: string
  readonly name: string
  readonly sha256: string
}

/**
 * Reads a bill strictly: it accepts only what `bomOf` writes, which is narrower than CycloneDX. A test compares it
 * with the published schema: whatever the schema refuses, this refuses too.
 * @throws SluiceError SLUICE_MODEL_CORRUPT naming field and value.
 */
export function checkBom(value: unknown): CheckedBom {
  const fields = new FieldReader(value, BOM_FILE)
  fields.oneOf('$schema', [BOM_SCHEMA])
  fields.oneOf('bomFormat', ['CycloneDX'])
  fields.oneOf('specVersion', [BOM_SPEC])
  const serial = fields.string('serialNumber')
  if (!UUID.test(serial)) throw corrupt(`${BOM_FILE}.serialNumber is not a UUID: ${serial}`)
  fields.integer('version', 1)
  const model = fields.object('metadata', (metadata) => metadata.object('component', readModel))
  const parts = fields.objects('components', PARTS_MAX, readPart)
  fields.objects('dependencies', PARTS_MAX, (dependency) => {
    const refs = [dependency.string('ref'), ...dependency.array('dependsOn', PARTS_MAX, readString)]
    checkRefs(refs, [model.ref, ...parts.map(({ ref }) => ref)])
    checkUnique(refs)
  })
  fields.end()
  const refs = [model.ref, ...parts.map(({ ref }) => ref)]
  checkUnique(refs)
  checkRefs(model.datasets, refs)
  return {
    name: model.name,
    version: model.version,
    manifestSha256: model.sha256,
    files: parts
      .filter(({ type }) => type === 'file')
      .map(({ name, sha256 }) => ({ path: name, sha256 })),
    datasets: parts
      .filter(({ type }) => type === 'data')
      .map(({ ref, sha256 }) => ({ ref, sha256 })),
    figures: model.figures,
  }
}

function readModel(fields: FieldReader) {
  fields.oneOf('type', ['machine-learning-model'])
  const ref = fields.string('bom-ref')
  const name = fields.string('name')
  const version = fields.string('version')
  fields.string('description', TEXT_MAX)
  const sha256 = readHash(fields)
  readLicences(fields)
  const { datasets, figures } = fields.object('modelCard', (card) => {
    const refs = card.object('modelParameters', readParameters)
    const found = card.object('quantitativeAnalysis', (analysis) =>
      analysis.objects('performanceMetrics', PARTS_MAX, readFigure),
    )
    card.object('considerations', readConsiderations)
    return { datasets: refs, figures: found }
  })
  return { ref, name, version, sha256, datasets, figures }
}

function readParameters(fields: FieldReader): readonly string[] {
  fields.object('approach', (approach) => approach.oneOf('type', ['supervised']))
  for (const name of ['task', 'architectureFamily', 'modelArchitecture']) {
    fields.string(name, TEXT_MAX)
  }
  for (const name of ['inputs', 'outputs']) {
    fields.objects(name, PARTS_MAX, (port) => port.string('format', TEXT_MAX))
  }
  return fields.objects('datasets', PARTS_MAX, (dataset) => dataset.string('ref'))
}

function readFigure(fields: FieldReader): BomFigure {
  if (fields.has('confidenceInterval')) {
    fields.object('confidenceInterval', (interval) => [
      interval.string('lowerBound'),
      interval.string('upperBound'),
    ])
  }
  return {
    type: fields.string('type'),
    slice: fields.string('slice'),
    value: fields.string('value'),
  }
}

function readConsiderations(fields: FieldReader): void {
  for (const name of ['users', 'useCases', 'technicalLimitations']) {
    fields.array(name, PARTS_MAX, readString)
  }
  fields.objects('ethicalConsiderations', PARTS_MAX, (risk) => [
    risk.string('name', TEXT_MAX),
    risk.string('mitigationStrategy', TEXT_MAX),
  ])
}

function readPart(fields: FieldReader): Part {
  const type = fields.oneOf('type', ['file', 'data', 'library'])
  const ref = fields.string('bom-ref')
  const name = fields.string('name')
  readLicences(fields)
  if (type === 'library') {
    fields.string('version')
    fields.string('purl')
    return { type, ref, name, sha256: '' }
  }
  if (type === 'data') {
    fields.objects('data', PARTS_MAX, (data) => [
      data.oneOf('type', ['dataset']),
      data.string('name'),
      data.string('description', TEXT_MAX),
    ])
  }
  return { type, ref, name, sha256: readHash(fields) }
}

function readHash(fields: FieldReader): string {
  const hashes = fields.objects('hashes', 1, (hash) => {
    hash.oneOf('alg', ['SHA-256'])
    return hash.digest('content')
  })
  const [sha256] = hashes
  if (sha256 === undefined) throw corrupt(`${BOM_FILE} has a part without a hash`)
  return sha256
}

function readLicences(fields: FieldReader): void {
  fields.objects('licenses', 1, (entry) =>
    entry.object('license', (licence) =>
      licence.has('id') ? licence.oneOf('id', SPDX) : licence.string('name'),
    ),
  )
}

function checkRefs(refs: readonly string[], known: readonly string[]): void {
  const unknown = refs.find((ref) => !known.includes(ref))
  if (unknown !== undefined)
    throw corrupt(`${BOM_FILE} refers to "${unknown}", which it does not contain`)
}

function checkUnique(refs: readonly string[]): void {
  const repeated = refs.find((ref, index) => refs.indexOf(ref) !== index)
  if (repeated !== undefined) throw corrupt(`${BOM_FILE} names "${repeated}" twice`)
}
