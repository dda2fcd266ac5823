// Writes a model folder: the files of a net as TensorFlow.js reads them, JSON, SHA256SUMS, and the folder itself,
// completely or not at all.

import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { createHash } from 'node:crypto'
import type { LayersModel, io } from '@tensorflow/tfjs'
import { SluiceError } from '../core/errors.ts'
import type { TensorFlow } from '../platform/tensorflow/load-tensorflow.ts'
import { corrupt } from '../core/scoring/field-reader.ts'

/**
 * Refuses early what `writeModelFolder` would refuse late.
 * @throws SluiceError SLUICE_USAGE when the folder holds a model and `force` is not set, or holds something else,
 * which is never replaced.
 */
export async function checkTarget(folder: string, force: boolean): Promise<void> {
  if (!existsSync(folder)) return
  const entries = await readdir(folder).catch(() => null)
  if (entries?.length === 0) return
  if (entries?.includes('manifest.json') !== true) {
    throw usage(`--out ${folder} exists and is not a model folder; give another, or move this one.`)
  }
  if (!force) throw usage(`--out ${folder} holds a model; add --force to replace it.`)
}

/** Writes the files, by path in the folder. An existing model is replaced by two renames. */
export async function writeModelFolder(
  folder: string,
  files: Readonly<Record<string, Buffer>>,
): Promise<void> {
  const fresh = `${folder}.${process.pid}.tmp`
  const old = `${folder}.${process.pid}.old`
  await rm(fresh, { recursive: true, force: true })
  await mkdir(dirname(fresh), { recursive: true })
  await mkdir(fresh)
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(`${fresh}/${path}`), { recursive: true })
    await writeFile(`${fresh}/${path}`, bytes)
  }
  const isReplaced = existsSync(folder)
  if (isReplaced) await rename(folder, old)
  await rename(fresh, folder)
  if (isReplaced) await rm(old, { recursive: true, force: true })
}

function usage(message: string): SluiceError {
  return new SluiceError('SLUICE_USAGE', message)
}

export interface NetBytes {
  readonly model: Buffer
  readonly weights: Buffer
}

/** Saves a net. The bytes depend on topology and weights only. */
export async function netBytes(
  tf: TensorFlow,
  model: LayersModel,
  weightsFile: string,
): Promise<NetBytes> {
  let saved: io.ModelArtifacts | null = null
  await model.save(
    tf.io.withSaveHandler((artifacts) => {
      saved = artifacts
      return Promise.resolve({
        modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' },
      })
    }),
  )
  const { modelTopology, weightSpecs, weightData } = artifactsOf(saved)
  const parts = Array.isArray(weightData) ? weightData : [weightData]
  const content = {
    format: 'layers-model',
    modelTopology,
    weightsManifest: [{ paths: [weightsFile], weights: weightSpecs }],
  }
  return {
    model: jsonBytes(content),
    weights: Buffer.concat(parts.map((part) => Buffer.from(part))),
  }
}

/** JSON in the form that model folders use. */
export function jsonBytes(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value, null, 1)}\n`)
}

function artifactsOf(saved: io.ModelArtifacts | null): Required<
  Pick<io.ModelArtifacts, 'modelTopology' | 'weightSpecs'>
> & {
  readonly weightData: ArrayBuffer | ArrayBuffer[]
} {
  const { modelTopology, weightSpecs, weightData } = saved ?? {}
  if (modelTopology === undefined || weightSpecs === undefined || weightData === undefined) {
    throw new Error('TensorFlow.js saved a net without topology or weights.')
  }
  return { modelTopology, weightSpecs, weightData }
}

export const SUMS_FILE = 'SHA256SUMS'

const LINE = /^([0-9a-f]{64}) {2}(\S+)$/
const LINES_MAX = 1_000

/** Content of SHA256SUMS: one line per file except itself, in the form that `sha256sum --check` reads. */
export function sumsOf(files: Readonly<Record<string, Buffer>>): Buffer {
  const lines = Object.entries(files)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([path, bytes]) => `${sha256Of(bytes)}  ${path}`)
  return Buffer.from(`${lines.join('\n')}\n`)
}

/** Reads the list as digests by path. @throws SluiceError SLUICE_MODEL_CORRUPT naming the line. */
export function parseSums(text: string): ReadonlyMap<string, string> {
  const lines = text.trimEnd().split('\n')
  if (lines.length > LINES_MAX) throw corrupt(`${SUMS_FILE} has more than ${LINES_MAX} lines`)
  const sums = new Map<string, string>()
  for (const [index, line] of lines.entries()) {
    const [, digest, path] = LINE.exec(line) ?? []
    if (digest === undefined || path === undefined) {
      throw corrupt(`${SUMS_FILE} line ${index + 1} is not a digest with a path`)
    }
    sums.set(path, digest)
  }
  return sums
}

export function sha256Of(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex')
}
