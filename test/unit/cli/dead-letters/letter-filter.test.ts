import { strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  EVERY_LETTER,
  type LetterFilter,
  isWanted,
} from '../../../../services/cli/dead-letters/read-letters.ts'
import { DECIDED_AT_MS, sampleLetter, TOPIC } from './letter-sample.ts'

const passes = (filter: Partial<LetterFilter>): boolean =>
  isWanted(sampleLetter(), { ...EVERY_LETTER, ...filter })

test('without conditions every letter passes', () => {
  strictEqual(passes({}), true)
})

test('one of several reasons is enough', () => {
  strictEqual(passes({ reasons: ['malformed', 'not_framed'] }), true)
  strictEqual(passes({ reasons: ['malformed'] }), false)
})

test('the time of the letter counts, from since on and before until', () => {
  strictEqual(passes({ sinceMs: DECIDED_AT_MS }), true)
  strictEqual(passes({ sinceMs: DECIDED_AT_MS + 1 }), false)
  strictEqual(passes({ untilMs: DECIDED_AT_MS }), false)
  strictEqual(passes({ untilMs: DECIDED_AT_MS + 1 }), true)
})

test('topic, partition and both ends of the offsets count', () => {
  strictEqual(passes({ topic: TOPIC, partition: 1, offsetMin: 42, offsetMax: 42 }), true)
  strictEqual(passes({ topic: 'transactions' }), false)
  strictEqual(passes({ partition: 0 }), false)
  strictEqual(passes({ offsetMin: 43 }), false)
  strictEqual(passes({ offsetMax: 41 }), false)
})

test('a reason that only a later version knows passes unless reasons are asked for', () => {
  const letter = sampleLetter({ reason: 'from_the_future' })
  strictEqual(isWanted(letter, EVERY_LETTER), true)
  strictEqual(isWanted(letter, { ...EVERY_LETTER, reasons: ['empty'] }), false)
})
