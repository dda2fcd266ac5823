// Goal: an erasure killed at any moment leaves each step undone or done, and a second run completes it. Method: `sluice
// lake erase` in its own process, killed just before chosen steps on the file system; other cards' rows are compared as
// a plain DuckDB reads them.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { cpSync } from 'node:fs'
import { test } from 'node:test'
import { readLakeState } from '../../services/platform/lake/commit-log.ts'
import { failures, filesShowing, fullLake, rowsOf } from '../support/erasable-lake.ts'
import { runLake } from '../support/lake-process.ts'
import { openFolder } from '../support/lake.ts'
import { seededNumbers } from '../support/seeded-numbers.ts'

const CRASHES = process.env['SLUICE_FULL'] === '1' ? 100 : 4
/** No Kafka is needed. */
const ALONE = { environment: () => ({}) }

test('an erasure killed before any step on the file system is completed by the next one', async (t) => {
  const { folder: original, card } = await fullLake(t, { transactions: 400, cards: 20 })
  const args = (folder: string) => ['erase', '--lake', folder, '--card', card]
  const others = await rowsOf(original, `card <> '${card}'`)
  const plain = (lines: readonly string[]) =>
    lines.filter((line) => !line.startsWith('dead_letters'))

  const expected = await openFolder(t)
  cpSync(original, expected, { recursive: true })
  const whole = await runLake(ALONE, args(expected))
  strictEqual(whole.code, 0, whole.stderr)
  const wanted = await rowsOf(expected, 'true')
  const steps = Number(/steps: (\d+)/.exec(whole.stderr)?.[1] ?? 0)
  ok(steps > 40, `only ${steps} steps`)

  const random = seededNumbers(20_261_125)
  let [crashes, halves] = [0, 0]
  while (crashes < CRASHES) {
    const folder = await openFolder(t)
    cpSync(original, folder, { recursive: true })
    const crashAt = 2 + (random() % (steps - 2))
    const killed = await runLake(ALONE, args(folder), { crashAt })
    strictEqual(killed.code, null, `it was to be killed before step ${crashAt} of ${steps}`)
    crashes += 1
    deepStrictEqual(await failures(folder), [], 'what the log lists is whole')
    const { erasures } = await readLakeState(folder)
    if ((await filesShowing(folder, card)).length > 0 && erasures.length > 0) halves += 1

    const again = await runLake(ALONE, args(folder))
    strictEqual(again.code, 0, again.stderr)
    const now = await rowsOf(folder, 'true')
    deepStrictEqual(now, wanted, `killed before step ${crashAt}`)
    deepStrictEqual(plain(now), plain(others))
    deepStrictEqual(await filesShowing(folder, card), [])
    deepStrictEqual(await failures(folder), [])
  }
  // Control: some kill fell between the first commit and the last removal.
  ok(halves > 0, 'no kill left anything half done')
})
