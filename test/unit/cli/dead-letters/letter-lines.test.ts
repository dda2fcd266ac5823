import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  LetterCounts,
  letterHeading,
  letterJson,
  letterLine,
  remainderLine,
  summaryLines,
} from '../../../../services/cli/dead-letters/letter-lines.ts'
import {
  planLetter,
  plannedLine,
  stateLines,
} from '../../../../services/cli/dead-letters/redrive.ts'
import { sampleLetter, TOPIC } from './letter-sample.ts'

const found = { letter: sampleLetter(), redrivenFrom: null }

test('a letter fits a line of a terminal, below its heading', () => {
  const line = letterLine(found, 'pilot.')
  strictEqual(
    line,
    '2023-11-14 22:13:20  transactions/1/42         not_framed             -                 17  {"card":"card-#"}',
  )
  ok(line.length <= 120)
  strictEqual(letterHeading().indexOf('reason'), line.indexOf('not_framed'))
  strictEqual(letterHeading().indexOf('begins with'), line.indexOf('{"card"'))
})

test('a letter about a message that was sent again before says so', () => {
  const redrivenFrom = { topic: TOPIC, partition: 0, offset: 7 }
  match(letterLine({ ...found, redrivenFrom }, 'pilot.'), /redriven before, from 7$/)
  strictEqual(letterJson({ ...found, redrivenFrom })['redrivenFrom'], `${TOPIC}/0/7`)
})

test('text of a letter neither steers the terminal nor shows a card number', () => {
  const letter = sampleLetter({ sample: '\u001b[2J', reason: '4111 1111 1111 1111' })
  const line = letterLine({ letter, redrivenFrom: null }, '')
  ok(!line.includes('\u001b') && !line.includes('4111'))
})

test('the summary has the most frequent first and ends where it would fill memory', () => {
  const counts = new LetterCounts()
  const add = (reason: string): void => {
    counts.add({ letter: sampleLetter({ reason }), redrivenFrom: null })
  }
  add('malformed')
  for (const reason of ['empty', 'empty']) add(reason)
  deepStrictEqual(summaryLines(counts, 'pilot.'), [
    '2  transactions  empty',
    '1  transactions  malformed',
  ])
  for (let index = 0; index < 2_000; index += 1) add(`r${index}`)
  strictEqual(counts.groups.length, 1_001)
  strictEqual(
    counts.groups.reduce((sum, { count }) => sum + count, 0),
    2_003,
  )
})

test('what was read and not shown is said, and nothing when there is nothing to say', () => {
  strictEqual(remainderLine({ matching: 3, others: 9, unreadable: 0 }, 3), null)
  match(
    remainderLine({ matching: 3, others: 0, unreadable: 1 }, 2) ?? '',
    /2 of 3 shown.*1 message/,
  )
})

test('a plan says what would be sent where, and why not', () => {
  const message = {
    key: null,
    value: Buffer.from('{"card":"card-1"}'),
    headers: {},
    timestampMs: found.letter.timestampMs,
    redrivenFrom: null,
    isRefused: false,
  }
  const verdict = { refusal: null, partition: 3, key: null }
  const source = { message, sentTo: null, verdict, isCovered: true }
  const send = planLetter(found.letter, source, false)
  const gone = planLetter(found.letter, { ...source, message: null }, false)
  match(plannedLine(send, 'pilot.', false), /send 17 bytes to partition 3 \(was 1\)$/)
  match(plannedLine(send, 'pilot.', true), /sent 17 bytes/)
  match(plannedLine(gone, 'pilot.', true), /no longer in its topic$/)
  deepStrictEqual(stateLines([send, gone, gone], true), ['1  sent', '2  no longer in its topic'])
})
