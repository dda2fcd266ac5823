// Reads a bill of materials back, field by field: narrower than CycloneDX, for it takes only what `bom.ts` writes. A
// test compares it with the published schema: what that refuses, this refuses too.

import { corrupt, FieldReader, readString } from '../../services/core/scoring/field-reader.ts'
import { BOM_FILE, BOM_SCHEMA, BOM_SPEC } from './bom.ts'

const PARTS_MAX = 256
const TEXT_MAX = 4_000
const UUID = /^urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const SPDX = ['Apache-2.0', 'CDLA-Permissive-2.0', 'CC-BY-4.0'] as const

export interface BomFigure {
  readonly type: string
  readonly slice: string
  readonly value: string
}

/** What is compared with the folder. */
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

/** @throws SluiceError SLUICE_MODEL_CORRUPT naming field and value. */
export function checkBom(value: unknown): CheckedBom {
  const fields = new FieldReader(value, BOM_FILE)
  fields.oneOf('$schema', [BOM_SCHEMA])
  fields.oneOf('bomFormat', ['CycloneDX'])
  fields.oneOf('specVersion', [BOM_SPEC])
  const serial = fields.string('serialNumber')
  if (!UUID.test(serial)) throw corrupt(`${BOM_FILE}.serialNumber is no UUID: ${serial}`)
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
  if (unknown !== undefined) throw corrupt(`${BOM_FILE} refers to "${unknown}", which it has not`)
}

function checkUnique(refs: readonly string[]): void {
  const repeated = refs.find((ref, index) => refs.indexOf(ref) !== index)
  if (repeated !== undefined) throw corrupt(`${BOM_FILE} names "${repeated}" twice`)
}
