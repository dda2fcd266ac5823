// Compares a compiled model with TensorFlow before it is used: on the golden rows, on rows in which each feature in
// turn takes every value at which its tables change, and on sequences that reach all tables of the earlier payments.

import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import {
  SEQUENCE_EVENTS,
  SEQUENCE_LENGTH,
  SEQUENCE_WIDTH,
} from '../../core/features/engine/card-sequence.ts'
import { DAY_MS } from '../../core/features/catalogue/time.ts'
import type { GoldenVectors } from '../../core/scoring/golden.ts'
import type { FeatureScaling } from '../../core/scoring/scaling.ts'
import type { SequenceEncoding } from '../../core/scoring/sequence-encoding.ts'
import type { ModelFolder } from '../tensorflow/model-folder.ts'
import type { OpenBackend } from '../tensorflow/open-backend.ts'
import { openRowScorer, type RowScorer } from '../tensorflow/row-scorer.ts'

/** Largest accepted difference of a score. TensorFlow itself sums in another order on each backend. */
export const COMPARE_TOLERANCE = 1e-6

/** The difference in words; null when all scores agree within COMPARE_TOLERANCE. */
export async function differsFromTensorFlow(
  tensorFlow: OpenBackend,
  compiled: RowScorer,
  model: ModelFolder,
): Promise<string | null> {
  const reference = await openRowScorer(tensorFlow, model)
  try {
    const { scaling, target } = model.manifest
    const { rows, rowCount } = disturbed(model.golden, scaling)
    const draft = compare(
      await reference.score(rows, rowCount),
      await compiled.score(rows, rowCount),
    )
    if (draft !== null) return draft
    const golden = model.target?.golden ?? null
    const known = golden?.sequences ?? null
    if (golden === null || known === null) return null
    const all = disturbed(golden, scaling)
    const verifiable = {
      rows: all.rows,
      sequences: taken(known.values, SEQUENCE_LENGTH, all.sources),
      amountsMinor: taken(known.amountsMinor, 1, all.sources),
    }
    // The first rows are the golden ones, with their sequences. The others get sequences of their own.
    const from = golden.rowCount * SEQUENCE_LENGTH
    if (target !== null) writeProbes(verifiable.sequences.subarray(from), target.encoding)
    const expected = await reference.target?.score(verifiable, all.rowCount)
    const found = await compiled.target?.score(verifiable, all.rowCount)
    if (expected === undefined || found === undefined) return 'one of them has no second net'
    return compare(expected, found)
  } finally {
    reference.close()
  }
}

function compare(expected: Float64Array, found: Float64Array): string | null {
  for (const [row, score] of expected.entries()) {
    const other = found[row] ?? NaN
    if (Number.isNaN(score) && Number.isNaN(other)) continue
    // Also false when only one of them is absent.
    if (Math.abs(score - other) <= COMPARE_TOLERANCE) continue
    return `TensorFlow scores ${score} where it gives ${other}`
  }
  return null
}

interface Disturbed {
  readonly rows: Float64Array
  readonly rowCount: number
  /** The golden row of each one. */
  readonly sources: readonly number[]
}

interface Change {
  readonly feature: number
  readonly value: number
}

/** The golden rows, and copies of them with one value changed, or a value and the code that it depends on. */
function disturbed(golden: GoldenVectors, scaling: readonly FeatureScaling[]): Disturbed {
  const changes: readonly (readonly Change[])[] = scaling.flatMap((each, feature) => [
    ...valuesOf(each).map((value) => [{ feature, value }]),
    ...codedValues(each).map(({ value, code }) => [
      { feature, value },
      {
        feature: scaling.findIndex((other) => other.feature === each.byCode?.feature),
        value: code,
      },
    ]),
  ])
  const plain = Array.from({ length: golden.rowCount }, (_, row) => row)
  const sources = [...plain, ...changes.map((_, at) => at % golden.rowCount)]
  const rows = taken(golden.rows, FEATURE_COUNT, sources)
  for (const [at, each] of changes.entries()) {
    const row = (golden.rowCount + at) * FEATURE_COUNT
    for (const { feature, value } of each) rows[row + feature] = value
  }
  return { rows, rowCount: sources.length, sources }
}

/** Copies of the rows that `sources` names, in order. */
function taken(from: Float64Array, width: number, sources: readonly number[]): Float64Array {
  const to = new Float64Array(sources.length * width)
  for (const [row, source] of sources.entries()) {
    to.set(from.subarray(source * width, (source + 1) * width), row * width)
  }
  return to
}

/** Probes: absent, beyond both ends, at every edge and between each pair of edges. */
function valuesOf({ center, scale, clip, steps, ramps }: FeatureScaling): readonly number[] {
  const far = 2 * clip * scale
  return [NaN, center - far, center + far, ...atAndBetween([...steps, ...ramps])]
}

/** Probes for every code with edges of its own, and for one without: at every edge and between each pair of edges. */
function codedValues({ byCode }: FeatureScaling): readonly { value: number; code: number }[] {
  if (byCode === null) return []
  return byCode.edges.flatMap((edges, at) =>
    atAndBetween(edges).map((value) => ({ value, code: byCode.codes[at] ?? NaN })),
  )
}

function atAndBetween(edges: readonly number[]): readonly number[] {
  const ascending = [...edges].sort((a, b) => a - b)
  const between = ascending.slice(1).map((edge, at) => (edge + (ascending[at] ?? edge)) / 2)
  return [...new Set([...ascending, ...between])]
}

/** The periods of the probes have no common divisor, so that all combinations of values occur. */
const AMOUNT_STEPS = 197
const AGE_STEPS = 89
const CLOCK_STEPS = 53

/** Sequences of every length, with amounts to 13 digits, ages to 100 days, all times of day, and every category. */
function writeProbes(sequences: Float64Array, { categories }: SequenceEncoding): void {
  const references = [0, ...categories]
  for (let at = 0; at < sequences.length; at += SEQUENCE_WIDTH) {
    const event = at / SEQUENCE_WIDTH
    const sequence = Math.floor(event / SEQUENCE_EVENTS)
    const isThere = event % SEQUENCE_EVENTS < sequence % (SEQUENCE_EVENTS + 1)
    const amount = Math.floor(10 ** ((13 * (event % AMOUNT_STEPS)) / AMOUNT_STEPS))
    const ageMs = Math.floor(100 * DAY_MS * ((event % AGE_STEPS) / AGE_STEPS) ** 4)
    const timeOfDayMs = Math.floor((DAY_MS * (event % CLOCK_STEPS)) / CLOCK_STEPS)
    const reference = references[event % references.length] ?? 0
    const values = isThere ? [amount, ageMs, timeOfDayMs, reference] : [NaN, NaN, NaN, NaN]
    sequences.set(values, at)
  }
}
