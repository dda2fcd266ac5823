import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  formatPosition,
  parsePosition,
  REDRIVEN_FROM_HEADER,
  redrivenFromOf,
} from '../../../services/core/redrive.ts'

const position = { topic: 'pilot.transactions', partition: 3, offset: 1042 }

test('a position reads back as it was written', () => {
  strictEqual(formatPosition(position), 'pilot.transactions/3/1042')
  deepStrictEqual(parsePosition('pilot.transactions/3/1042'), position)
})

test('a text that names no position names none', () => {
  for (const text of ['', 'a/b', 'a/1/', 'a/-1/2', 'a b/1/2', 'a/1/2/3', `a/1/${'9'.repeat(16)}`]) {
    strictEqual(parsePosition(text), null, text)
  }
})

test('the mark is read from bytes, from text and from a repeated header', () => {
  const text = formatPosition(position)
  for (const header of [text, Buffer.from(text), [Buffer.from(text), 'other']]) {
    deepStrictEqual(redrivenFromOf({ [REDRIVEN_FROM_HEADER]: header }, position.topic), position)
  }
})

test('a header that is no position of the same topic is no mark, and is not passed on', () => {
  for (const header of ['4111111111111111', 'labels/0/1', '', [], undefined]) {
    strictEqual(redrivenFromOf({ [REDRIVEN_FROM_HEADER]: header }, position.topic), null)
  }
  strictEqual(redrivenFromOf({}, position.topic), null)
  strictEqual(redrivenFromOf(undefined, position.topic), null)
})
