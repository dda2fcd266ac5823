import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { decodeDamage, encodeDamage } from '../../../../services/platform/redis/damage-note.ts'

test('a note is read back as it was written, keys with spaces included', () => {
  for (const key of ['sluice:{a:1}:s2:k:t:terminal', 'a b c', '']) {
    const note = { generation: 1_700_000_000_000, key }
    deepStrictEqual(decodeDamage(encodeDamage(note)), note)
  }
})

test('what is no note is none', () => {
  for (const text of ['', ' ', 'x', '7', 'x y', ' key', '1.5 key']) {
    strictEqual(decodeDamage(text), null, text)
  }
})
