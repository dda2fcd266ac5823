// Every numbered sentence of the contract is the name of a test in this folder, and every test has a sentence.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const NAME = /^test\(\s*(['"])(.+?)\1,/gm
const SENTENCE = /^(\d+)\. (.+)$/gm

const page = readFileSync(
  join(import.meta.dirname, '../../../../../docs/feature-contract.md'),
  'utf8',
)

function namesOfTests(): readonly string[] {
  return readdirSync(import.meta.dirname)
    .filter((file) => file.endsWith('.test.ts') && file !== 'sentences.test.ts')
    .flatMap((file) => {
      const text = readFileSync(join(import.meta.dirname, file), 'utf8')
      return [...text.matchAll(NAME)].map(([, , name = '']) => name)
    })
}

test('the sentences of the feature contract and the names of its tests are the same', () => {
  const sentences = [...page.matchAll(SENTENCE)].map(([, , sentence = '']) => sentence)
  assert.deepEqual(namesOfTests().toSorted(), sentences.toSorted())
})

test('the sentences of the feature contract are numbered without gaps', () => {
  const numbers = [...page.matchAll(SENTENCE)].map(([, number]) => Number(number))
  assert.deepEqual(
    numbers,
    numbers.map((_, index) => index + 1),
  )
})
