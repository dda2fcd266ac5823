import { ok } from 'node:assert/strict'
import { test } from 'node:test'
import { COLOURS } from '../../../tools/dashboards/definitions/panels.ts'

// Colour blindness: linear RGB through the matrices of Viénot, Brettel and Mollon (1999), then the distance in
// CIE Lab. Below about 10 two colours are hard to tell apart.
const DISTANCE_MIN = 15
const VISION = {
  normal: [1, 0, 0, 0, 1, 0, 0, 0, 1],
  protan: [0.11238, 0.88762, 0, 0.11238, 0.88762, 0, 0.00401, -0.00401, 1],
  deutan: [0.29275, 0.70725, 0, 0.29275, 0.70725, 0, -0.02234, 0.02234, 1],
} as const

function labOf(color: string, matrix: readonly number[]): readonly number[] {
  const linear = [1, 3, 5].map((start) => {
    const share = Number.parseInt(color.slice(start, start + 2), 16) / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  const times = (rows: readonly number[], vector: readonly number[]): readonly number[] =>
    [0, 3, 6].map((row) =>
      [0, 1, 2].reduce((sum, column) => sum + (rows[row + column] ?? 0) * (vector[column] ?? 0), 0),
    )
  const seen = times(matrix, linear).map((value) => Math.min(1, Math.max(0, value)))
  const toXyz = [0.4124, 0.3576, 0.1805, 0.2126, 0.7152, 0.0722, 0.0193, 0.1192, 0.9505]
  const white = [0.95047, 1, 1.08883]
  const [x = 0, y = 0, z = 0] = times(toXyz, seen).map((value, index) => {
    const share = value / (white[index] ?? 1)
    return share > 0.008856 ? Math.cbrt(share) : 7.787 * share + 16 / 116
  })
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)]
}

function distance(a: string, b: string, matrix: readonly number[]): number {
  const [first, second] = [labOf(a, matrix), labOf(b, matrix)]
  return Math.hypot(...first.map((value, index) => value - (second[index] ?? 0)))
}

test('approve, flag and block can be told apart with every common kind of vision', () => {
  const pairs = [
    [COLOURS.approve, COLOURS.flag],
    [COLOURS.flag, COLOURS.block],
    [COLOURS.approve, COLOURS.block],
  ] as const
  for (const [kind, matrix] of Object.entries(VISION))
    for (const [a, b] of pairs)
      ok(distance(a, b, matrix) > DISTANCE_MIN, `${a} and ${b}, ${kind}: ${distance(a, b, matrix)}`)
  // A plain green and a plain red of equal lightness fail.
  ok(distance('#669900', '#b87a3d', VISION.deutan) < DISTANCE_MIN)
})
