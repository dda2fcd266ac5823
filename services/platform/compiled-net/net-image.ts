// The memory that the kernel reads: a net's tables, weights and lists, as the records described in
// kernel/net-kernel.ts.

import assert from 'node:assert/strict'
import type { TargetManifest } from '../../core/scoring/manifest.ts'
import {
  codeRampInputs,
  rampInputs,
  type CodeRamps,
  type FeatureScaling,
} from '../../core/scoring/scaling.ts'
import type { SequenceEncoding } from '../../core/scoring/sequence-encoding.ts'
import { BackendProblem } from '../tensorflow/open-backend.ts'
import type { LayerWeights } from '../tensorflow/dense-net.ts'
import type { MemberWeights } from '../tensorflow/sequence-net.ts'
import { IMAGE_BYTES_MAX, type ImageRecord, ImageWriter } from './image-writer.ts'
import {
  absentOutputs,
  addScaled,
  featureLadder,
  rampLadder,
  rampVectors,
  type FeatureWeights,
  type Ladder,
  type Vector,
} from './ladders.ts'

const FEATURE_BYTES = 64
const SEGMENT_BYTES = 24
const LADDER_BYTES = 16
const LAYER_BYTES = 32
const STACK_BYTES = 48
const NET_BYTES = 16
const CODES_BYTES = 16
const EVENTS_BYTES = 64
const FLOAT_BYTES = 4
const DOUBLE_BYTES = 8
/** Bytes of a vector and its factor. */
const FACTOR_BYTES = 8

/** Vectors are padded to a multiple of this many numbers, which the kernel sums at a time. */
const VECTOR_STEP = 32

/** Most list entries for one feature, or one value of an event: it may have ramps by code as well. */
const VECTORS_PER_VALUE = 2
const FACTORS_PER_VALUE = 3
/** Quantities and categories of an event. */
const EVENT_VALUES = 7

/** Layers of the nets of one stage, by member. */
interface StackLayers {
  /** First layers, which read tables. */
  readonly first: readonly LayerWeights[]
  /** The layers after it. */
  readonly further: readonly (readonly LayerWeights[])[]
}

/**
 * Writes the net that scores every row. Returns its address. @throws BackendProblem when it exceeds the kernel's
 * limits.
 */
export function writeDraft(
  image: ImageWriter,
  scaling: readonly FeatureScaling[],
  layers: readonly LayerWeights[],
): number {
  const [first, ...further] = layers
  assert(first !== undefined, 'A net has a layer.')
  const { net } = writeNet(image, scaling, { first: [first], further: [further] })
  return net.at
}

/**
 * Writes the large net of a cascade. Returns its address. @throws BackendProblem when it exceeds the kernel's limits.
 */
export function writeTarget(
  image: ImageWriter,
  scaling: readonly FeatureScaling[],
  { encoding }: Pick<TargetManifest, 'encoding'>,
  members: readonly MemberWeights[],
): number {
  const rowLayers = stackOf(members.map(({ dense }) => dense))
  const { net, memberUnits, inputCount } = writeNet(image, scaling, rowLayers)
  const eventLayers = stackOf(members.map(({ event }) => event))
  const pooledUnits = (eventLayers.further[0]?.at(-1) ?? eventLayers.first[0])?.units ?? 0
  const events = writeEvents(image, encoding, eventLayers, pooledUnits)
  setAddress(net, 12, events.at)
  const layersAt = image.record(members.length * 2 * LAYER_BYTES)
  for (const [member, layer] of rowLayers.first.entries()) {
    const bias = image.floats(padded(layer.bias, memberUnits))
    for (const [part, at] of [inputCount, inputCount + pooledUnits].entries()) {
      const weights = layer.kernel.subarray(at * layer.units, (at + pooledUnits) * layer.units)
      const pooled = {
        ...layer,
        inputs: pooledUnits,
        kernel: weights,
        activation: 'linear',
      } as const
      writeLayer(image, layersAt, (2 * member + part) * LAYER_BYTES, pooled, bias)
    }
  }
  setAddress(events, 60, layersAt.at)
  return net.at
}

function stackOf(members: readonly (readonly LayerWeights[])[]): StackLayers {
  const first = members.flatMap(([layer]) => (layer === undefined ? [] : [layer]))
  if (first.length !== members.length) {
    throw new BackendProblem(null, 'compiled nets need a layer of units for the payments')
  }
  return { first, further: members.map(([, ...rest]) => rest) }
}

/** Writes a net over rows of features. */
function writeNet(
  image: ImageWriter,
  scaling: readonly FeatureScaling[],
  layers: StackLayers,
): { readonly net: ImageRecord; readonly memberUnits: number; readonly inputCount: number } {
  const weights = new InputWeights(layers.first)
  checkTables(scaling, weights.width)
  const net = image.record(NET_BYTES)
  const features = image.record(scaling.length * FEATURE_BYTES)
  for (const [index, each] of scaling.entries()) {
    const codes = scaling.findIndex(({ feature }) => feature === each.byCode?.feature)
    writeFeature(image, features, index * FEATURE_BYTES, each, { weights, codes })
  }
  const stack = writeStack(image, layers, scaling.length)
  setAddress(stack, 0, image.floats(weights.bias))
  for (const [at, value] of [stack.at, features.at, scaling.length].entries()) {
    setAddress(net, 4 * at, value)
  }
  return { net, memberUnits: weights.memberUnits, inputCount: weights.taken }
}

/** Checked before tables are built, since they are much larger than the weights. */
function checkTables(scaling: readonly FeatureScaling[], width: number): void {
  let vectors = 0
  for (const { steps, ramps, byCode } of scaling) {
    vectors += 2 * (steps.length + ramps.length + 4) + 2 * codeRampInputs(byCode)
  }
  if (vectors * width * FLOAT_BYTES <= IMAGE_BYTES_MAX) return
  throw new BackendProblem(null, `${vectors} vectors of ${width} units are too many for tables`)
}

function writeFeature(
  image: ImageWriter,
  features: ImageRecord,
  at: number,
  each: FeatureScaling,
  { weights, codes }: { readonly weights: InputWeights; readonly codes: number },
): void {
  const own: FeatureWeights = {
    number: weights.take(),
    absent: each.absentInput ? weights.take() : null,
    steps: each.steps.map(() => weights.take()),
    ramps: weights.takeAll(rampInputs(each.ramps)),
  }
  const numbers = [each.center, 1 / each.scale, each.clip, each.absentValue ?? NaN]
  for (const [field, value] of numbers.entries()) setDouble(features, at + 8 * field, value)
  if (!Number.isFinite(1 / each.scale)) {
    throw new BackendProblem(null, `the scale of "${each.feature}" is beyond compiled nets`)
  }
  const ladder = featureLadder(each, own)
  if (ladder !== null) writeLadder(image, features, at + 32, ladder, vectorPlaces(image))
  if (each.transform === 'log1p') setAddress(features, at + 44, image.floats(own.number))
  const absent = absentOutputs(each, own)
  if (absent !== null) setAddress(features, at + 48, image.floats(absent))
  if (each.byCode === null) return
  assert(codes >= 0, 'The code is one of the features.')
  setAddress(features, at + 52, writeCodes(image, each.byCode, weights, codes))
}

/** Ramps by code. Returns the address of their record. */
function writeCodes(
  image: ImageWriter,
  codes: CodeRamps,
  weights: InputWeights,
  codeFeature: number,
): number {
  const vectors = rampVectors(weights.takeAll(codeRampInputs(codes)), weights.width)
  const record = image.record(CODES_BYTES)
  const ladders = image.record(codes.edges.length * LADDER_BYTES)
  const place = vectorPlaces(image)
  for (const [index, edges] of codes.edges.entries()) {
    writeLadder(image, ladders, index * LADDER_BYTES, rampLadder(edges, vectors), place)
  }
  const codesAt = image.doubles(codes.codes)
  const end = codesAt + DOUBLE_BYTES * codes.codes.length
  for (const [at, value] of [codeFeature, codesAt, end, ladders.at].entries()) {
    setAddress(record, 4 * at, value)
  }
  return record.at
}

type Place = (vector: Vector | null) => number

/** Places a vector once, however often it is used; address 0 for a vector of zeros. */
function vectorPlaces(image: ImageWriter): Place {
  const placed = new Map<Vector, number>()
  return (vector) => {
    if (vector === null || vector.every((value) => value === 0)) return 0
    const known = placed.get(vector)
    if (known !== undefined) return known
    const at = image.floats(vector)
    placed.set(vector, at)
    return at
  }
}

function writeLadder(
  image: ImageWriter,
  owner: ImageRecord,
  offset: number,
  { edges, segments }: Ladder,
  place: Place,
): void {
  // No scored value reaches infinity.
  const pairs = edges.length % 2 === 0 ? edges : [...edges, Infinity]
  const edgesAt = image.doubles(pairs)
  const segmentsAt = image.record((pairs.length + 1) * SEGMENT_BYTES)
  for (const [index, { low, perWidth, base, slope }] of segments.entries()) {
    const at = index * SEGMENT_BYTES
    setDouble(segmentsAt, at, low)
    setDouble(segmentsAt, at + 8, perWidth)
    setAddress(segmentsAt, at + 16, place(base))
    setAddress(segmentsAt, at + 20, place(slope))
  }
  setAddress(owner, offset, edgesAt)
  setAddress(owner, offset + 4, edgesAt + DOUBLE_BYTES * pairs.length)
  setAddress(owner, offset + 8, segmentsAt.at)
}

/** Writes layers, their outputs and the lists for `values` values; the caller sets the start vector. */
function writeStack(image: ImageWriter, layers: StackLayers, values: number): ImageRecord {
  const { first, further } = layers
  const [{ units, activation } = { units: 0, activation: 'linear' as const }] = first
  const memberBytes = paddedUnits(units) * FLOAT_BYTES
  const depth = further[0]?.length ?? 0
  const stack = image.record(STACK_BYTES)
  const layersAt = image.record(Math.max(1, first.length * depth) * LAYER_BYTES)
  let outputBytes = 0
  for (const [member, each] of further.entries()) {
    for (const [index, layer] of each.entries()) {
      const bytes = paddedUnits(layer.units) * FLOAT_BYTES
      const bias = image.floats(padded(layer.bias, paddedUnits(layer.units)))
      writeLayer(image, layersAt, (member * depth + index) * LAYER_BYTES, layer, bias)
      outputBytes = Math.max(outputBytes, bytes)
    }
  }
  const width = first.length * memberBytes
  // The kernel writes an entry before it knows whether the entry counts.
  const vectors = image.reserve((values * VECTORS_PER_VALUE + 1) * FLOAT_BYTES)
  const factors = image.reserve((values * FACTORS_PER_VALUE + 1) * FACTOR_BYTES)
  const out = image.reserve(width)
  const turns = [image.reserve(outputBytes), image.reserve(outputBytes)]
  setAddress(stack, 4, width)
  setAddress(stack, 8, out)
  stack.fields.setFloat32(12, leastOf(activation), true)
  const rest = [first.length, memberBytes, layersAt.at, depth, ...turns, vectors, factors]
  for (const [at, value] of rest.entries()) setAddress(stack, 16 + 4 * at, value)
  return stack
}

function writeLayer(
  image: ImageWriter,
  owner: ImageRecord,
  offset: number,
  { inputs, units, kernel, activation }: LayerWeights,
  bias: number,
): void {
  const width = paddedUnits(units)
  const rows = new Float32Array(inputs * width)
  for (let input = 0; input < inputs; input += 1) {
    rows.set(kernel.subarray(input * units, (input + 1) * units), input * width)
  }
  for (const [at, value] of [inputs, image.floats(rows), bias, width * FLOAT_BYTES].entries()) {
    setAddress(owner, offset + 4 * at, value)
  }
  owner.fields.setFloat32(offset + 16, leastOf(activation), true)
}

/** Writes the part that turns a sequence into inputs of the rows. */
function writeEvents(
  image: ImageWriter,
  encoding: SequenceEncoding,
  layers: StackLayers,
  pooledUnits: number,
): ImageRecord {
  const weights = new InputWeights(layers.first)
  const { against, typical, amount, age, clock, categories, amountByCategory } = encoding
  const events = image.record(EVENTS_BYTES)
  const ladders = image.record(5 * LADDER_BYTES)
  for (const [index, edges] of [against, typical, amount, age, clock].entries()) {
    const vectors = rampVectors(weights.takeAll(rampInputs(edges)), weights.width)
    const ladder = rampLadder(edges, vectors)
    writeLadder(image, ladders, index * LADDER_BYTES, ladder, vectorPlaces(image))
  }
  const codes = amountByCategory === null ? 0 : writeCodes(image, amountByCategory, weights, 0)
  const categoriesAt = image.doubles(categories)
  const ofCategory = weights.takeAll(categories.length).map((vector) => image.floats(vector))
  const [present, sameDay, dayBefore] = [weights.take(), weights.take(), weights.take()]
  addScaled(present, 1, weights.bias)
  addScaled(sameDay, 1, present)
  addScaled(dayBefore, 1, present)
  const starts = [sameDay, dayBefore, present, weights.bias].map((vector) => image.floats(vector))
  const memberBytes = paddedUnits(pooledUnits) * FLOAT_BYTES
  const bytes = layers.first.length * memberBytes
  const pooled = [image.reserve(bytes), image.reserve(bytes), image.reserve(bytes)]
  const fields = [
    writeStack(image, layers, EVENT_VALUES).at,
    ladders.at,
    codes,
    categoriesAt,
    categoriesAt + DOUBLE_BYTES * categories.length,
    image.addresses(ofCategory),
    ...starts,
    memberBytes,
    ...pooled,
    bytes,
  ]
  for (const [at, value] of fields.entries()) setAddress(events, 4 * at, value)
  return events
}

/** Weights of the first layers by input: those of all members side by side, each padded. */
class InputWeights {
  readonly #layers: readonly LayerWeights[]
  readonly memberUnits: number
  readonly width: number
  /** Every reader gets its own copy. */
  readonly bias: Vector
  /** Inputs taken so far. */
  taken = 0

  constructor(layers: readonly LayerWeights[]) {
    this.#layers = layers
    this.memberUnits = paddedUnits(layers[0]?.units ?? 0)
    this.width = this.memberUnits * layers.length
    this.bias = this.#beside(({ bias }) => bias)
  }

  /** Weights of the next input. */
  take(): Vector {
    const input = this.taken
    this.taken += 1
    return this.#beside(({ kernel, units, inputs }) => {
      assert(input < inputs, 'The layer has an input for everything that is encoded.')
      return kernel.subarray(input * units, (input + 1) * units)
    })
  }

  takeAll(count: number): readonly Vector[] {
    return Array.from({ length: count }, () => this.take())
  }

  #beside(part: (layer: LayerWeights) => Float32Array): Vector {
    const vector = new Float64Array(this.width)
    for (const [member, layer] of this.#layers.entries()) {
      vector.set(part(layer), member * this.memberUnits)
    }
    return vector
  }
}

function paddedUnits(units: number): number {
  return Math.ceil(units / VECTOR_STEP) * VECTOR_STEP
}

function padded(values: Float32Array, count: number): Float32Array {
  const all = new Float32Array(count)
  all.set(values)
  return all
}

/** Least output of a layer. */
function leastOf(activation: LayerWeights['activation']): number {
  return activation === 'relu' ? 0 : -Infinity
}

function setAddress({ fields }: ImageRecord, offset: number, value: number): void {
  fields.setUint32(offset, value, true)
}

function setDouble({ fields }: ImageRecord, offset: number, value: number): void {
  fields.setFloat64(offset, value, true)
}
