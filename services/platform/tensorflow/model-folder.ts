// Reads a model folder and checks it before anything is computed: manifest, feature list, digests of all files.

import { createHash } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { SluiceError } from '../../core/errors.ts'
import { FEATURE_COUNT, FEATURE_LIST_HASH } from '../../core/features/catalogue/feature-list.ts'
import { corrupt } from '../../core/scoring/field-reader.ts'
import { checkGolden, type GoldenVectors } from '../../core/scoring/golden.ts'
import { checkManifest, type ModelFile, type ModelManifest } from '../../core/scoring/manifest.ts'
import type { NetFiles } from './dense-net.ts'

const MANIFEST_BYTES_MAX = 1024 * 1024

/** A complete model folder that fits this build. */
export interface ModelFolder {
  readonly manifest: ModelManifest
  /** SHA-256 of the bytes of manifest.json, hex. */
  readonly digest: string
  readonly net: NetFiles
  readonly golden: GoldenVectors
  /** Null for a model of one net. */
  readonly target: { readonly net: NetFiles; readonly golden: GoldenVectors } | null
}

/**
 * Reads and verifies. Amounts are converted to `referenceCurrency`; null accepts a model of any.
 * @throws SluiceError SLUICE_MODEL_CORRUPT when files are missing, changed or malformed; SLUICE_MODEL_INCOMPATIBLE
 * when the model was trained on other features or another reference currency.
 */
export async function readModelFolder(
  folder: string,
  referenceCurrency: string | null,
): Promise<ModelFolder> {
  const manifestBytes = await readBounded(folder, 'manifest.json', MANIFEST_BYTES_MAX)
  const manifest = checkManifest(parse('manifest.json', manifestBytes))
  checkFit(manifest, referenceCurrency)
  const model = await readVerified(folder, 'model.json', manifest)
  const weights = await readVerified(folder, 'weights.bin', manifest)
  const golden = await readVerified(folder, 'golden.json', manifest)
  return {
    manifest,
    digest: sha256(manifestBytes),
    net: { model: parse('model.json', model), weights },
    golden: checkGolden(parse('golden.json', golden), FEATURE_COUNT, 'golden.json', false),
    target: manifest.target === null ? null : await readTargetFiles(folder, manifest),
  }
}

async function readTargetFiles(
  folder: string,
  manifest: ModelManifest,
): Promise<NonNullable<ModelFolder['target']>> {
  const model = await readVerified(folder, 'target.json', manifest)
  const weights = await readVerified(folder, 'target.bin', manifest)
  const file = 'target-golden.json'
  const golden = parse(file, await readVerified(folder, file, manifest))
  return {
    net: { model: parse('target.json', model), weights },
    golden: checkGolden(golden, FEATURE_COUNT, file, true),
  }
}

function checkFit(manifest: ModelManifest, referenceCurrency: string | null): void {
  if (manifest.featureListHash !== FEATURE_LIST_HASH) {
    throw incompatible(
      manifest,
      'features',
      'feature list',
      manifest.featureListHash,
      FEATURE_LIST_HASH,
    )
  }
  if (referenceCurrency !== null && manifest.referenceCurrency !== referenceCurrency) {
    throw otherCurrency(manifest, referenceCurrency)
  }
}

function incompatible(
  { name, version }: ModelManifest,
  what: string,
  noun: string,
  found: string,
  expected: string,
): SluiceError {
  return new SluiceError(
    'SLUICE_MODEL_INCOMPATIBLE',
    `Model ${name} ${version} was trained on other ${what}: its ${noun} is ${found}, this build's is ` +
      `${expected}. Train again with "sluice train", or use the build that made the model.`,
    { details: { expected, found } },
  )
}

function otherCurrency(
  { name, version, referenceCurrency: found }: ModelManifest,
  expected: string,
): SluiceError {
  return new SluiceError(
    'SLUICE_MODEL_INCOMPATIBLE',
    `Model ${name} ${version} was trained on amounts in ${found}, but amounts are converted to ${expected} here. Train a ` +
      `model with a rate table to ${expected} (SLUICE_RATES), or configure a table to ${found}.`,
    { details: { expected, found } },
  )
}

async function readVerified(
  folder: string,
  file: ModelFile,
  { files }: ModelManifest,
): Promise<Buffer> {
  const digest = files[file]
  if (digest === undefined) throw corrupt(`manifest.json does not list ${file}`)
  const { sha256: expected, bytes: size } = digest
  const bytes = await readBounded(folder, file, size)
  const found = sha256(bytes)
  if (found === expected) return bytes
  throw corrupt(`${file} has SHA-256 ${found}, but manifest.json says ${expected}`)
}

async function readBounded(folder: string, file: string, bytesMax: number): Promise<Buffer> {
  const path = join(folder, file)
  try {
    const { size } = await stat(path)
    if (size <= bytesMax) return await readFile(path)
    throw corrupt(`${file} has ${size} bytes, expected at most ${bytesMax}`)
  } catch (error) {
    if (error instanceof SluiceError) throw error
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable'
    throw corrupt(`${path} cannot be read (${code})`, error)
  }
}

function parse(file: string, bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    throw corrupt(`${file} is not JSON`, error)
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
