// Scores rows by nets that were compiled to tables (docs/adr/0037). Hot path.

import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import { SEQUENCE_LENGTH } from '../../core/features/engine/card-sequence.ts'
import { inputCountOf } from '../../core/scoring/scaling.ts'
import type { VerifiableRows } from '../../core/scoring/scoring-model.ts'
import { compileSequenceEncoding } from '../../core/scoring/sequence-encoding.ts'
import { readLayers } from '../tensorflow/dense-net.ts'
import type { ModelFolder } from '../tensorflow/model-folder.ts'
import { BackendProblem, type OpenBackend } from '../tensorflow/open-backend.ts'
import { type RowScorer, takeScores, type TargetScorer } from '../tensorflow/row-scorer.ts'
import { readMembers } from '../tensorflow/sequence-net.ts'
import { ImageWriter } from './image-writer.ts'
import { writeDraft, writeTarget } from './net-image.ts'

/** Rows copied to the kernel at a time. */
const RUN_ROWS = 256
const FLOAT_BYTES = 4
const DOUBLE_BYTES = 8
/** The kernel is built for sequences of this size. */
const KERNEL_SEQUENCE_BYTES: number = 512

/** Functions of the kernel, with addresses in its memory. */
interface Kernel {
  scoreRows(net: number, rows: number, count: number, logits: number): void
  scoreSequences(
    net: number,
    rows: number,
    count: number,
    sequenceOf: number,
    sequences: number,
    amounts: number,
    logits: number,
  ): void
  prepareEvents(net: number): void
}

/**
 * Compiles a model. TensorFlow reads the weights, and takes no part in scoring. @throws SluiceError
 * SLUICE_MODEL_CORRUPT; BackendProblem when the model does not fit into tables, or WebAssembly lacks SIMD
 */
export async function openCompiledScorer(
  tensorFlow: OpenBackend,
  model: ModelFolder,
): Promise<RowScorer> {
  const { scaling, calibration } = model.manifest
  assert(scaling.length === FEATURE_COUNT, 'The manifest scales every feature.')
  const layers = await readLayers(tensorFlow, model.net, inputCountOf(scaling))
  const image = new ImageWriter()
  const net = writeDraft(image, scaling, layers)
  const rowsAt = image.reserve(RUN_ROWS * FEATURE_COUNT * DOUBLE_BYTES)
  const logitsAt = image.reserve(RUN_ROWS * FLOAT_BYTES)
  const { memory, kernel } = await openKernel(image)
  const input = new Float64Array(memory.buffer, rowsAt, RUN_ROWS * FEATURE_COUNT)
  const logits = new Float32Array(memory.buffer, logitsAt, RUN_ROWS)
  return {
    score(rows, rowCount) {
      const scores = new Float64Array(rowCount)
      for (let start = 0; start < rowCount; start += RUN_ROWS) {
        const count = Math.min(RUN_ROWS, rowCount - start)
        input.set(rows.subarray(start * FEATURE_COUNT, (start + count) * FEATURE_COUNT))
        kernel.scoreRows(net, rowsAt, count, logitsAt)
        takeScores(logits, scores, start, count, calibration)
      }
      return scores
    },
    target: await openTarget(tensorFlow, model),
    close: () => undefined,
  }
}

async function openTarget(
  tensorFlow: OpenBackend,
  { manifest, target: files }: ModelFolder,
): Promise<TargetScorer | null> {
  const { scaling, target } = manifest
  if (target === null || files === null) return null
  assert(SEQUENCE_LENGTH * DOUBLE_BYTES === KERNEL_SEQUENCE_BYTES)
  const { eventInputs } = compileSequenceEncoding(target.encoding)
  const inputs = { inputCount: inputCountOf(scaling), eventInputs }
  const members = await readMembers(tensorFlow, files.net, target, inputs)
  const image = new ImageWriter()
  const net = writeTarget(image, scaling, target, members)
  const rowsAt = image.reserve(RUN_ROWS * FEATURE_COUNT * DOUBLE_BYTES)
  const sequencesAt = image.reserve(RUN_ROWS * SEQUENCE_LENGTH * DOUBLE_BYTES)
  const amountsAt = image.reserve(RUN_ROWS * DOUBLE_BYTES)
  const sequenceOfAt = image.reserve(RUN_ROWS * FLOAT_BYTES)
  const logitsAt = image.reserve(RUN_ROWS * FLOAT_BYTES)
  const { memory, kernel } = await openKernel(image)
  kernel.prepareEvents(net)
  const { buffer } = memory
  const input = new Float64Array(buffer, rowsAt, RUN_ROWS * FEATURE_COUNT)
  const sequenceInput = new Float64Array(buffer, sequencesAt, RUN_ROWS * SEQUENCE_LENGTH)
  const amountInput = new Float64Array(buffer, amountsAt, RUN_ROWS)
  const sequenceOfInput = new Uint32Array(buffer, sequenceOfAt, RUN_ROWS)
  const logits = new Float32Array(buffer, logitsAt, RUN_ROWS)

  const scorePart = (verifiable: VerifiableRows, start: number, count: number): void => {
    const { rows, sequences, amountsMinor, sequenceOf } = verifiable
    input.set(rows.subarray(start * FEATURE_COUNT, (start + count) * FEATURE_COUNT))
    const first = sequenceOf?.[start] ?? start
    for (let at = 0; at < count; at += 1) {
      sequenceOfInput[at] = (sequenceOf?.[start + at] ?? start + at) - first
    }
    const end = first + (sequenceOfInput[count - 1] ?? 0) + 1
    assert(amountsMinor.length >= end, 'Every row has an amount.')
    sequenceInput.set(sequences.subarray(first * SEQUENCE_LENGTH, end * SEQUENCE_LENGTH))
    amountInput.set(amountsMinor.subarray(first, end))
    kernel.scoreSequences(net, rowsAt, count, sequenceOfAt, sequencesAt, amountsAt, logitsAt)
  }
  return {
    verifyFrom: target.verifyFrom,
    sampleShare: target.sampleShare,
    score(rows, rowCount) {
      const scores = new Float64Array(rowCount)
      for (let start = 0; start < rowCount; start += RUN_ROWS) {
        const count = Math.min(RUN_ROWS, rowCount - start)
        scorePart(rows, start, count)
        takeScores(logits, scores, start, count, target.calibration)
      }
      return Promise.resolve(scores)
    },
    close: () => undefined,
  }
}

let kernelModule: Promise<WebAssembly.Module> | null = null

/** Compiles the kernel, once. @throws BackendProblem when WebAssembly lacks SIMD */
export async function loadKernel(): Promise<WebAssembly.Module> {
  kernelModule ??= readFile(new URL('./kernel/net-kernel.wasm', import.meta.url)).then((bytes) =>
    WebAssembly.compile(bytes),
  )
  try {
    return await kernelModule
  } catch (error) {
    if (!(error instanceof WebAssembly.CompileError)) throw error
    throw new BackendProblem('load_failed', `the kernel does not compile: ${error.message}`)
  }
}

/** Creates the memory, and the functions that compute in it. */
async function openKernel(
  image: ImageWriter,
): Promise<{ readonly memory: WebAssembly.Memory; readonly kernel: Kernel }> {
  const memory = image.finish()
  const imports = { env: { memory }, 'net-kernel': { log1p: Math.log1p } }
  const { exports } = await WebAssembly.instantiate(await loadKernel(), imports)
  return { memory, kernel: exports as Kernel }
}
