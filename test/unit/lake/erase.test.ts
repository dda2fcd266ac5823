// Goal: an erased card is in no table and no file, all other rows are unchanged, the lake's own records still agree, and
// after an interruption at any step the same command completes the erasure.
// Method: real lakes with decisions and dead letters, without Kafka; rows of other cards are compared by reading the
// folders with DuckDB directly.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { cpSync, readdirSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { isSluiceError } from '../../../services/core/errors.ts'
import {
  eraseFromLake,
  eraseRequest,
  findInLake,
  readLakeHistory,
} from '../../../services/lake/index.ts'
import { eraseCard } from '../../../services/lake/erase.ts'
import { systemClock } from '../../../services/platform/clock.ts'
import { readLakeState } from '../../../services/platform/lake/commit-log.ts'
import { openDuckDb } from '../../../services/platform/lake/duckdb.ts'
import type { LakeWriter } from '../../../services/platform/lake/lake-writer.ts'
import { failures, filesShowing, fullLake, rowsOf } from '../../support/erasable-lake.ts'
import { openFolder, openWriter } from '../../support/lake.ts'

const NEVER = new AbortController().signal
const PROPERTY_RUNS = 4

const erase = (folder: string, card: string, reference: string | null = null) =>
  eraseFromLake(
    {
      folder,
      request: eraseRequest(card, reference),
      clock: systemClock,
      onStep: () => undefined,
    },
    NEVER,
  )

for (const isCompacted of [false, true]) {
  test(`a card is erased from all tables, other rows are unchanged (compacted: ${isCompacted})`, async (t) => {
    const { folder, card, decisions } = await fullLake(t, { isCompacted })
    deepStrictEqual(await failures(folder), [])
    const before = await rowsOf(folder, `card <> '${card}'`)
    const next = new Map((await readLakeState(folder)).next)
    ok((await filesShowing(folder, card)).length > 3, 'the control: the files show the card')
    const dry = await findInLake(folder, eraseRequest(card, null))
    strictEqual((await rowsOf(folder, `card = '${card}'`)).length > decisions, true)

    const summary = await erase(folder, card, 'request 17')
    deepStrictEqual(
      [summary.rows, summary.files, dry.commit],
      [dry.rows, dry.files, null],
      'a dry run says what is then done',
    )
    strictEqual(summary.rows.decisions, decisions)
    strictEqual(summary.rows.transactions, decisions)
    strictEqual(summary.rows.dead_letters, 1)
    ok(summary.rows.labels > 0)
    const after = await rowsOf(folder, 'true')
    const letters = (lines: readonly string[]) =>
      lines.filter((line) => line.startsWith('dead_letters'))
    const plain = (lines: readonly string[]) =>
      lines.filter((line) => !line.startsWith('dead_letters'))
    deepStrictEqual(plain(after), plain(before))
    strictEqual(letters(after).length, letters(before).length - 1)
    deepStrictEqual(await filesShowing(folder, card), [], 'no file shows the card')

    const state = await readLakeState(folder)
    deepStrictEqual(new Map(state.next), next, 'positions are unchanged')
    deepStrictEqual(await failures(folder), [])
    const [entry] = state.erasures
    deepStrictEqual(
      [state.erasures.length, entry?.id, entry?.reference, entry?.rows, entry?.files],
      [1, summary.id, 'request 17', summary.rows, summary.files],
    )
    for await (const event of readLakeHistory({ folder, fromMs: -Infinity, endMs: Infinity })) {
      const of = event.kind === 'label' ? event.label : event.transaction
      ok(of.card !== card)
    }
    const again = await erase(folder, card)
    deepStrictEqual([again.commit, again.files], [null, 0], 'there is nothing left to do')
    strictEqual((await readLakeState(folder)).erasures.length, 1)
  })
}

test('rows of a file keep their order', async (t) => {
  const { folder, card } = await fullLake(t, { isCompacted: true })
  const session = await openDuckDb(null)
  const inOrder = async (): Promise<readonly unknown[]> =>
    session.rows(
      `SELECT log_offset FROM read_parquet('${folder}/transactions/*/*.parquet', hive_partitioning = true, file_row_number = true) ` +
        `WHERE card <> '${card}' ORDER BY day, file_row_number`,
    )
  const before = await inOrder()
  await erase(folder, card)
  deepStrictEqual(await inOrder(), before)
  await session.close()
})

test('a file with rows of this card only is removed', async (t) => {
  const { folder } = await fullLake(t, { transactions: 100, cards: 5 })
  const cards = new Set<string>()
  for await (const event of readLakeHistory({ folder, fromMs: -Infinity, endMs: Infinity })) {
    if (event.kind === 'transaction') cards.add(event.transaction.card)
  }
  for (const card of cards) await erase(folder, card)
  const left = [...(await readLakeState(folder)).files.values()].filter(
    ({ table }) => table === 'transactions' || table === 'decisions' || table === 'labels',
  )
  deepStrictEqual(left, [])
  deepStrictEqual(await failures(folder), [])
})

class Stopped extends Error {}

/** Fails just before or just after its n-th commit, like a process killed there. */
function stoppingAt(writer: LakeWriter, at: number, isAfter: boolean): LakeWriter {
  let commits = 0
  return {
    folder: writer.folder,
    staging: writer.staging,
    get state() {
      return writer.state
    },
    async commit(changes) {
      commits += 1
      if (commits === at && !isAfter) throw new Stopped()
      await writer.commit(changes)
      if (commits === at) throw new Stopped()
    },
    close: () => writer.close(),
  }
}

test('after an interruption at any step, each step is done or not, and another run completes it', async (t) => {
  const { folder: original, card } = await fullLake(t, { transactions: 250, cards: 20 })
  const expected = await openFolder(t)
  cpSync(original, expected, { recursive: true })
  const whole = await erase(expected, card)
  const wanted = await rowsOf(expected, 'true')
  const others = await rowsOf(original, `card <> '${card}'`)
  const steps = (whole.commit ?? 0) - (await readLakeState(original)).sequence - 1
  ok(steps >= 3, `only ${steps} steps`)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.record({ at: fc.integer({ min: 1, max: steps }), isAfter: fc.boolean() }), {
        minLength: 1,
        maxLength: 2,
      }),
      async (stops) => {
        const folder = await openFolder(t)
        cpSync(original, folder, { recursive: true })
        for (const { at, isAfter } of stops) {
          const writer = await openWriter(folder)
          const session = await openDuckDb(null)
          const request = eraseRequest(card, null)
          await eraseCard(
            session,
            stoppingAt(writer, at, isAfter),
            { request, clock: systemClock, onStep: () => undefined },
            NEVER,
          ).catch((error: unknown) => {
            if (!(error instanceof Stopped)) throw error
          })
          await session.close()
          await writer.close()
          const now = await rowsOf(folder, `card <> '${card}'`)
          deepStrictEqual(
            now.filter((line) => !line.startsWith('dead_letters')),
            others.filter((line) => !line.startsWith('dead_letters')),
          )
          deepStrictEqual(await failures(folder), [])
        }
        await erase(folder, card)
        deepStrictEqual(await rowsOf(folder, 'true'), wanted)
        deepStrictEqual(await filesShowing(folder, card), [])
      },
    ),
    { numRuns: PROPERTY_RUNS },
  )
})

test('a reference that contains the card is refused', () => {
  for (const [card, reference] of [
    ['', null],
    ['card-1', 'erase card-1'],
    ['card-1', 'x'.repeat(101)],
  ] as const) {
    try {
      eraseRequest(card, reference)
    } catch (error) {
      ok(isSluiceError(error, 'SLUICE_USAGE'))
      continue
    }
    ok(false, `${card} ${reference ?? ''} was taken`)
  }
})

test('an erasure does not create a lake', async (t) => {
  const folder = await openFolder(t)
  await rejects(erase(folder, 'card-1'), (error) => isSluiceError(error, 'SLUICE_USAGE'))
  await rejects(findInLake(folder, eraseRequest('card-1', null)), (error) =>
    isSluiceError(error, 'SLUICE_USAGE'),
  )
  deepStrictEqual(readdirSync(folder), [])
})
