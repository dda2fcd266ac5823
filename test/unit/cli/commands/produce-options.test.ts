import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { InvalidArgumentError } from 'commander'
import { isSluiceError } from '../../../../services/core/errors.ts'
import {
  constantsOption,
  delimiterOption,
  durationOption,
  mappingOption,
  timeOption,
  timeRangeOption,
} from '../../../../services/cli/commands/produce.ts'

test('a mapping is a list or a JSON file, and both mean the same', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-map-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  const file = join(folder, 'map.json')
  writeFileSync(file, '{"card": "customer_id", "amount": "amt"}')
  deepStrictEqual(mappingOption(file), mappingOption('card=customer_id,amount=amt'))
  for (const content of ['[1]', '"card"', '{"kard": "x"}', '{"card": 1}', '{', 'null']) {
    writeFileSync(file, content)
    throws(
      () => mappingOption(file),
      (error) => isSluiceError(error, 'SLUICE_USAGE') && error.message.includes('map.json'),
      content,
    )
  }
  throws(
    () => mappingOption(join(folder, 'no.json')),
    (error) => isSluiceError(error, 'SLUICE_USAGE') && error.message.includes('no.json'),
  )
})

test('constants are a list of fields', () => {
  deepStrictEqual(constantsOption('currency=GBP,country=GB'), { currency: 'GBP', country: 'GB' })
})

test('a delimiter is one character, or the word tab', () => {
  strictEqual(delimiterOption(';'), ';')
  strictEqual(delimiterOption('tab'), '\t')
  for (const text of ['', ';;', '"', 'a', '\n']) {
    throws(() => delimiterOption(text), InvalidArgumentError, JSON.stringify(text))
  }
})

test('times, days and durations are read, and what is none is refused with an example', () => {
  strictEqual(timeOption('2026-01-01T12:00:00Z'), Date.UTC(2026, 0, 1, 12))
  deepStrictEqual(timeRangeOption('2026-01-01'), {
    fromMs: Date.UTC(2026, 0, 1),
    endMs: Date.UTC(2026, 0, 2),
  })
  strictEqual(durationOption('90s'), 90_000)
  for (const read of [timeOption, timeRangeOption, durationOption]) {
    throws(
      () => read('whenever'),
      (error) => error instanceof InvalidArgumentError && error.message.startsWith('Give a'),
    )
  }
})
