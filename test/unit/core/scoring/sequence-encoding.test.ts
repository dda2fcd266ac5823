import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  SEQUENCE_EVENTS,
  SEQUENCE_LENGTH,
  SEQUENCE_WIDTH,
} from '../../../../services/core/features/engine/card-sequence.ts'
import { compileSequenceEncoding } from '../../../../services/core/scoring/sequence-encoding.ts'

const ENCODING = {
  against: [-1, 0, 2],
  typical: [-2, 3],
  amount: [0, 5, 8],
  age: [0, 4, 6, 12],
  clock: [0, 7, 24],
  categories: [11, 40],
  amountByCategory: {
    codes: [11, 40],
    edges: [
      [0, 6, 9],
      [1, 1, 12],
      [0, 3, 4],
    ],
  },
}
const INPUTS = 2 + 1 + 2 + 3 + 2 + 2 + 2 + 3
const DAY_MS = 86_400_000

interface Payment {
  readonly amountMinor: number
  readonly ageMs: number
  readonly timeOfDayMs: number
  readonly category: number
}

/** Newest first, as writeSequence orders them; NaN after the last. */
function sequenceOf(payments: readonly Payment[]): Float64Array {
  const values = new Float64Array(SEQUENCE_LENGTH).fill(NaN)
  for (const [at, { amountMinor, ageMs, timeOfDayMs, category }] of payments.entries()) {
    values.set([amountMinor, ageMs, timeOfDayMs, category], at * SEQUENCE_WIDTH)
  }
  return values
}

function rising(edges: readonly number[], value: number): readonly number[] {
  return edges.slice(1).map((high, at) => {
    const low = edges[at] ?? 0
    if (low === high) return value >= high ? 1 : 0
    return Math.max(0, Math.min(1, (value - low) / (high - low)))
  })
}

function edgesOf(category: number): readonly number[] {
  const { codes, edges } = ENCODING.amountByCategory
  return edges[codes.includes(category) ? codes.indexOf(category) : codes.length] ?? []
}

function naiveInputs(amountMinor: number, payments: readonly Payment[]): readonly number[] {
  const ordered = payments.map((each) => each.amountMinor).toSorted((a, b) => a - b)
  const middle = Math.log(1 + (ordered[Math.floor(ordered.length / 2)] ?? 0))
  const inputs = payments.flatMap((each) => {
    const logAmount = Math.log(1 + each.amountMinor)
    return [
      ...rising(ENCODING.against, Math.log(1 + amountMinor) - logAmount),
      ...rising(ENCODING.typical, logAmount - middle),
      ...rising(ENCODING.amount, logAmount),
      ...rising(ENCODING.age, Math.log(1 + each.ageMs / 1_000)),
      ...rising(ENCODING.clock, each.timeOfDayMs / 3_600_000),
      ...rising(edgesOf(each.category), logAmount),
      ...ENCODING.categories.map((category) => (category === each.category ? 1 : 0)),
      1,
      // Midnights between the two payments.
      each.timeOfDayMs + each.ageMs < DAY_MS ? 1 : 0,
      each.timeOfDayMs + each.ageMs >= DAY_MS && each.timeOfDayMs + each.ageMs < 2 * DAY_MS ? 1 : 0,
    ]
  })
  return [...inputs, ...Array.from({ length: SEQUENCE_EVENTS * INPUTS - inputs.length }, () => 0)]
}

test('a sequence becomes the inputs that its payments define, at any position, and nothing else is written', () => {
  const payment = fc.record({
    amountMinor: fc.integer({ min: 0, max: 200_000 }),
    ageMs: fc.oneof(fc.nat(3 * DAY_MS), fc.nat(30 * DAY_MS)),
    timeOfDayMs: fc.nat(DAY_MS - 1),
    category: fc.constantFrom(0, 11, 40, 41),
  })
  const { eventInputs, inputCount, write } = compileSequenceEncoding(ENCODING)
  assert.deepEqual([eventInputs, inputCount], [INPUTS, SEQUENCE_EVENTS * INPUTS])
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 200_000 }),
      fc.array(payment, { maxLength: SEQUENCE_EVENTS }),
      (amountMinor, payments) => {
        const two = new Float64Array(2 * SEQUENCE_LENGTH).fill(7)
        two.set(sequenceOf(payments), SEQUENCE_LENGTH)
        const out = new Float32Array(inputCount + 4).fill(9)
        write(amountMinor, two, SEQUENCE_LENGTH, out, 2)
        const expected = [9, 9, ...naiveInputs(amountMinor, payments), 9, 9]
        for (const [at, value] of out.entries()) {
          assert.ok(Math.abs(value - (expected[at] ?? NaN)) < 1e-6, `${at}: ${value}`)
        }
      },
    ),
  )
})
