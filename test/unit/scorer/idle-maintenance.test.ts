// Goal: a partition publishes between its batches once it has been idle long enough, and never because the process was
// paused.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { PARTITION_START } from '../../../services/core/features/engine/partition-fold.ts'
import { releaseControlOf } from '../../../services/core/control/deployment.ts'
import type { OutputOptions } from '../../../services/scorer/publish/batch-output.ts'
import type { PartitionBlocks } from '../../../services/scorer/publish/partition-blocks.ts'
import { IdleMaintenance, type TurnDeps } from '../../../services/scorer/idle-maintenance.ts'
import { OperatorOverrides } from '../../../services/scorer/deployments/operator-overrides.ts'
import { codecs } from '../core/wire/wire-fixture.ts'
import { DECIDE_BY_AMOUNT } from './decide-by-amount.ts'
import { blockOf, LEASE_MS, Log, START_MS } from './partition-life.ts'
import { DEFAULT_RATES } from '../../../services/core/rates/default-rates.ts'

const GRACE_MS = 2_000
const PLACE = { nextOffset: 1, labelNextOffset: 0, position: PARTITION_START, chainHash: '' }

const OUTPUT: OutputOptions = {
  ...{ codecs, decide: DECIDE_BY_AMOUNT, backend: 'wasm', controlPosition: null },
  rates: DEFAULT_RATES,
  topics: {
    ...{ transactions: 'transactions', labels: 'labels', decisions: 'decisions' },
    ...{ alerts: 'alerts', leases: 'leases', deadLetters: 'dead-letters' },
  },
}

/** A partition with one block, its maintenance, and a clock that a test moves. */
function openTurns(alignment: TurnDeps['alignment'] = 'live') {
  const blocks: PartitionBlocks = new Log().open()
  blocks.advance(START_MS, START_MS, 1)
  blocks.publish(blockOf('card-a', 1, START_MS), 1)
  blocks.take(DECIDE_BY_AMOUNT)
  let elapsedMs = 0
  let wallMs = START_MS
  const written: string[] = []
  const words = new OperatorOverrides()
  const turns = new IdleMaintenance(
    {
      clock: { nowMs: () => wallMs, monotonicMs: () => elapsedMs },
      telemetry: { blocksCommitted: () => undefined },
      alignment,
      words,
      leaseGraceMs: GRACE_MS,
      takeOutput: () => ({
        options: OUTPUT,
        committed: () => undefined,
        release: () => undefined,
      }),
    },
    blocks,
    {
      commit: (messages) => {
        const topics = new Set(messages.map(({ topic }) => topic))
        for (const topic of topics) {
          written.push(`${messages.filter((message) => message.topic === topic).length} ${topic}`)
        }
        return Promise.resolve()
      },
      close: () => Promise.resolve(),
    },
  )
  return {
    written,
    words,
    turns,
    /** `setMs` is how far the wall clock has been set forward by then. */
    look: async (atMs: number, isIdle = true, setMs = 0) => {
      elapsedMs = atMs
      wallMs = START_MS + atMs + setMs
      await turns.take(isIdle, PLACE)
    },
  }
}

test('an idle partition releases what is over a grace later, in one commit, once', async () => {
  const { look, written } = openTurns()
  const dueMs = LEASE_MS + GRACE_MS
  for (let atMs = 0; atMs < dueMs; atMs += 1_000) await look(atMs)
  deepStrictEqual(written, [])
  await look(dueMs)
  await look(dueMs + 1_000)
  deepStrictEqual(written, ['1 alerts', '1 leases'])
})

test('a partition to which something has come, or that replays in order, does not go by the clock', async () => {
  const busy = openTurns()
  for (let atMs = 0; atMs < 3 * LEASE_MS; atMs += 1_000) await busy.look(atMs, atMs % 2_000 === 0)
  const aligned = openTurns('aligned')
  for (let atMs = 0; atMs < 3 * LEASE_MS; atMs += 1_000) await aligned.look(atMs)
  deepStrictEqual([busy.written, aligned.written], [[], []])
  strictEqual(aligned.turns.pollMs, null)
})

test('a partition that stood still first hears what came meanwhile', async () => {
  const { look, written } = openTurns()
  await look(0)
  await look(1_000)
  await look(LEASE_MS + 60_000)
  deepStrictEqual(written, [])
  await look(LEASE_MS + 61_000)
  await look(LEASE_MS + 62_000)
  deepStrictEqual(written, ['1 alerts', '1 leases'])
})

test('a wall clock that is set forward ends no lease early, and one that is set back and right again none late', async () => {
  const dueMs = LEASE_MS + GRACE_MS
  for (const setMs of [2_500, 3_600_000]) {
    const { look, written } = openTurns()
    for (let atMs = 0; atMs < dueMs; atMs += 1_000) await look(atMs, true, atMs < 3_000 ? 0 : setMs)
    deepStrictEqual(written, [])
    await look(dueMs, true, setMs)
    deepStrictEqual(written, ['1 alerts', '1 leases'])
  }
  const { look, written } = openTurns()
  for (let atMs = 0; atMs < dueMs; atMs += 1_000) await look(atMs, true, atMs < 3_000 ? 0 : -60_000)
  await look(dueMs, true, -60_000)
  deepStrictEqual(written, [])
  // A partition listens for the grace first, as after a pause.
  for (const laterMs of [1_000, 2_000, 3_000]) await look(dueMs + laterMs)
  deepStrictEqual(written, ['1 alerts', '1 leases'])
})

test('small corrections of the wall clock are followed', async () => {
  const { look, written } = openTurns()
  const dueMs = LEASE_MS + GRACE_MS
  for (let atMs = 0; atMs < dueMs; atMs += 1_000) await look(atMs, true, -atMs)
  deepStrictEqual(written, [])
  for (let atMs = dueMs; atMs <= 2 * dueMs; atMs += 1_000) await look(atMs, true, -dueMs)
  deepStrictEqual(written, ['1 alerts', '1 leases'])
})

test("a person's word is taken up at once, idle or not, and once", async () => {
  const { look, written, words } = openTurns()
  const word = { author: 'ana', reason: 'called', atMs: 1 }
  await look(0, false)
  words.accept(releaseControlOf({ card: 'card-a', alertId: 'alert-1' }, word))
  await look(1, false)
  words.accept(releaseControlOf({ card: 'card-a', alertId: 'alert-1' }, word))
  await look(2, false)
  deepStrictEqual(written, ['1 alerts', '1 leases'])
})
