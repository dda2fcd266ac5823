import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  type LetterSource,
  planLetter,
  withinLimit,
} from '../../../../services/cli/dead-letters/redrive.ts'
import { type SourceMessage } from '../../../../services/cli/dead-letters/read-letters.ts'
import { SAMPLE_MESSAGE, sampleLetter, TOPIC } from './letter-sample.ts'

const message: SourceMessage = {
  key: Buffer.from('card-1'),
  value: SAMPLE_MESSAGE.value,
  headers: {},
  timestampMs: SAMPLE_MESSAGE.timestampMs,
  redrivenFrom: null,
  isRefused: false,
}
const source: LetterSource = {
  message,
  sentTo: null,
  verdict: { refusal: null, partition: 3, key: Buffer.from('card-1') },
  isCovered: true,
}

function stateOf(change: Partial<LetterSource>, force = false): readonly (string | null)[] {
  const { state, detail, target } = planLetter(sampleLetter(), { ...source, ...change }, force)
  strictEqual(target === null, state !== 'send')
  return [state, detail]
}

test('a message that would be decided now is sent to the partition of its card', () => {
  const planned = planLetter(sampleLetter(), source, false)
  strictEqual(planned.state, 'send')
  strictEqual(planned.target?.partition, 3)
  strictEqual(planned.message, message)
})

test('a message that is gone is not sent, nor is another one that stands in its place', () => {
  deepStrictEqual(stateOf({ message: null }), ['gone', null])
  for (const other of [
    { value: Buffer.from('{"card":"card-22"}') },
    { value: Buffer.from('{"cord":"card-1"}') },
    { timestampMs: 0 },
  ]) {
    deepStrictEqual(stateOf({ message: { ...message, ...other } }), [
      'gone',
      'another message stands there',
    ])
  }
})

test('what was sent before, and what is itself a repetition, is never sent, force or not', () => {
  const redrivenFrom = { topic: TOPIC, partition: 0, offset: 7 }
  for (const force of [false, true]) {
    deepStrictEqual(stateOf({ sentTo: `${TOPIC}/3/50` }, force), [
      'sent_before',
      `as ${TOPIC}/3/50`,
    ])
    deepStrictEqual(stateOf({ message: { ...message, redrivenFrom } }, force), [
      'redriven_before',
      `from ${TOPIC}/0/7`,
    ])
  }
})

test('what would be refused again is sent by force only, with the reason', () => {
  const verdict = { refusal: 'unknown_currency', partition: 1, key: null } as const
  deepStrictEqual(stateOf({ verdict }), ['refused_again', 'unknown_currency'])
  deepStrictEqual(stateOf({ verdict }, true), ['send', 'unknown_currency'])
})

test('force sends neither empty, too large nor card-number messages, nor bytes with a card number', () => {
  for (const refusal of ['empty', 'too_large', 'card_number_suspected'] as const) {
    const verdict = { refusal, partition: 1, key: null }
    deepStrictEqual(stateOf({ verdict }, true), ['refused_again', refusal])
  }
  const value = Buffer.from('pay 4111-1111-1111-1111')
  const letter = sampleLetter({ payloadBytes: value.length, sample: 'pay ####-####-####-####' })
  const verdict = { refusal: 'not_framed', partition: 1, key: null } as const
  const planned = planLetter(letter, { ...source, message: { ...message, value }, verdict }, true)
  deepStrictEqual([planned.state, planned.detail], ['refused_again', 'not_framed'])
})

test('a batch that cannot be read is not sent, nor what may have been sent out of sight', () => {
  deepStrictEqual(stateOf({ message: { ...message, value: null, isRefused: true } }), [
    'unreadable',
    null,
  ])
  deepStrictEqual(stateOf({ isCovered: false }), ['unprovable', null])
})

test('beyond the limit, what is left is for a later run; letters that are not sent do not count', () => {
  const send = planLetter(sampleLetter(), source, false)
  const gone = planLetter(sampleLetter(), { ...source, message: null }, false)
  const limited = withinLimit([gone, send, gone, send, send], 2)
  deepStrictEqual(
    limited.map(({ state }) => state),
    ['gone', 'send', 'gone', 'send', 'over_limit'],
  )
  strictEqual(limited[4]?.target, null)
})
