import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Chance, WeightedIndex, exactExp, exactLn } from '../../../../tools/simulator/chance.ts'

test('the first draws of a seed are fixed for ever', () => {
  const chance = new Chance(42, 1)
  deepStrictEqual(
    [chance.uint32(), chance.uint32(), chance.uint32()],
    [4_225_280_748, 1_108_344_467, 1_758_966_527],
    'a change here changes every stream of every seed',
  )
})

test('two streams of one seed have nothing in common', () => {
  const draws = (stream: number): number[] => {
    const chance = new Chance(7, stream)
    return Array.from({ length: 100 }, () => chance.uint32())
  }
  const second = new Set(draws(2))
  strictEqual(
    draws(1).some((draw) => second.has(draw)),
    false,
  )
})

test('the exponential and the logarithm agree with the platform to twelve digits', () => {
  fc.assert(
    fc.property(fc.double({ min: -20, max: 20, noNaN: true }), (x) => {
      ok(Math.abs(exactExp(x) / Math.exp(x) - 1) < 1e-12)
    }),
  )
  fc.assert(
    fc.property(fc.double({ min: 1e-6, max: 1, noNaN: true }), (x) => {
      ok(Math.abs(exactLn(x) - Math.log(x)) < 1e-12)
    }),
  )
})

test('draws have the mean and the deviation that they promise', () => {
  const chance = new Chance(11, 5)
  const count = 200_000
  const mean = (draw: () => number): number => {
    let sum = 0
    for (let index = 0; index < count; index += 1) sum += draw()
    return sum / count
  }
  ok(Math.abs(mean(() => chance.unit()) - 0.5) < 0.005)
  ok(Math.abs(mean(() => chance.exponential()) - 1) < 0.01)
  ok(Math.abs(mean(() => chance.normal())) < 0.01)
  ok(Math.abs(mean(() => chance.normal() ** 2) - 1) < 0.02)
  ok(Math.abs(mean(() => (chance.happens(0.2) ? 1 : 0)) - 0.2) < 0.005)
})

test('an integer is always within its bounds, and reaches both', () => {
  const chance = new Chance(3, 3)
  const seen = new Set(Array.from({ length: 1_000 }, () => chance.integer(-2, 3)))
  deepStrictEqual(
    [...seen].sort((left, right) => left - right),
    [-2, -1, 0, 1, 2, 3],
  )
})

test('a weighted index draws each entry as often as its weight says, and never one of weight 0', () => {
  const chance = new Chance(9, 9)
  const index = new WeightedIndex([0, 1, 3, 0, 6, 0])
  const counts = [0, 0, 0, 0, 0, 0]
  for (let draw = 0; draw < 100_000; draw += 1) {
    const drawn = index.draw(chance)
    counts[drawn] = (counts[drawn] ?? 0) + 1
  }
  deepStrictEqual([counts[0], counts[3], counts[5]], [0, 0, 0])
  ok(Math.abs((counts[1] ?? 0) - 10_000) < 500)
  ok(Math.abs((counts[2] ?? 0) - 30_000) < 800)
  ok(Math.abs((counts[4] ?? 0) - 60_000) < 800)
})
