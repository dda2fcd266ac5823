// Goal: commands that read history from a lake report what was erased from it.

import { deepStrictEqual, match, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { ListsOfRows, ModelThresholds } from '../../../services/cli/backtest/load-policies.ts'
import { openLakeSource } from '../../../services/cli/backtest/row-source.ts'
import { openHistory } from '../../../services/cli/commands/train-history.ts'
import { eraseFromLake, eraseRequest } from '../../../services/lake/index.ts'
import { systemClock } from '../../../services/platform/clock.ts'
import { decidedLake } from '../../support/decided-lake.ts'
import { folderStores } from '../../support/folder-stores.ts'

test('a training and a backtest say what was erased, and have no event of the card', async (t) => {
  const { folder, samples } = await decidedLake(t, { transactions: 200, cards: 20 })
  const card = samples[0]?.transaction.card ?? ''
  const { models, policies } = folderStores(folder)
  const warnings = async (): Promise<readonly string[]> => {
    const source = await openLakeSource({
      ...{ folder, fromMs: -Infinity, endMs: Infinity, asOfMs: null, features: [] },
      thresholds: new ModelThresholds({ store: models, folders: [], askedBy: [] }),
      lists: new ListsOfRows({ store: policies, names: [], files: new Map(), fixed: null }),
    })
    await source.close()
    return source.warnings
  }
  deepStrictEqual(await warnings(), [])
  ok(!(await openHistory({ lake: folder })).caveat.includes('erasure'))

  const options = { clock: systemClock, onStep: () => undefined }
  await eraseFromLake(
    { folder, request: eraseRequest(card, null), ...options },
    new AbortController().signal,
  )
  const count = samples.filter(({ transaction }) => transaction.card === card).length
  const said = new RegExp(`^1 erasure has removed ${count} transactions, ${count} decisions and `)
  match((await warnings())[0] ?? '', said)
  const { caveat, events } = await openHistory({ lake: folder })
  ok(caveat.includes(`1 erasure has removed ${count} transactions`), caveat)
  let transactions = 0
  for await (const event of events) {
    if (event.kind !== 'transaction') continue
    transactions += 1
    ok(event.transaction.card !== card)
  }
  deepStrictEqual(transactions, samples.length - count)
})
