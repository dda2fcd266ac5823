// Goal: P1, P2 and P3 hold when brokers are killed while scorers work. Method: a cluster of this test's own, SIGKILL
// for one broker after the other at seeded random moments after messages have arrived, restart on its data; audit by a
// committed reader with another client, and an oracle that applies the log in memory.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { audit } from '../support/audit.ts'
import { partsOf } from '../support/event-parts.ts'
import { wrongDecisions } from '../support/live-oracle.ts'
import { followOutputs } from '../support/outputs.ts'
import { BROKERS, openCluster } from '../support/own-cluster.ts'
import { eventually } from '../support/poll.ts'
import { startScorer } from '../support/scorer-process.ts'
import { seededNumbers } from '../support/seeded-numbers.ts'
import { LONG_SESSION, openStream, PARTITION_COUNT, simulatedEvents } from '../support/streams.ts'

const IS_FULL = process.env['SLUICE_FULL'] === '1'
const KILLS = IS_FULL ? 200 : 25
const TRANSACTIONS = KILLS * 400
/** Largest delay of a kill after new messages. */
const KILL_DELAY_MS_MAX = 150
/** Length of the end of a scorer's log that a failure shows. */
const FAILURE_LOG_CHARACTERS = 20_000

test(`${KILLS} kills of brokers lose nothing, double nothing and change no decision`, async (t) => {
  const cluster = await openCluster(t)
  const events = await simulatedEvents(TRANSACTIONS)
  const stream = await openStream(t, 'broker-kills')
  const environment = { ...stream.environment({ SLUICE_BATCH_SIZE_MAX: '64' }), ...LONG_SESSION }
  const scorers = [await startScorer(t, environment), await startScorer(t, environment)]
  const sumOf = async (metric: string): Promise<number> => {
    const each = await Promise.all(scorers.map((scorer) => scorer.metric(metric)))
    return each.reduce((sum, value) => sum + value, 0)
  }
  const random = seededNumbers(20_261_202)
  const parts = partsOf(events, KILLS + 1)
  for (const [turn, part] of parts.entries()) {
    await eventually('all partitions work', async () => {
      return (await sumOf('sluice_partition_up')) === PARTITION_COUNT
    }).catch((error: unknown) => {
      const logs = scorers.map(({ log }) => log.slice(-FAILURE_LOG_CHARACTERS)).join('\n')
      throw new Error(`After ${turn} kills, the scorers' logs end in:\n${logs}`, { cause: error })
    })
    await stream.send(part)
    if (turn === KILLS) break
    await sleepMs(random() % KILL_DELAY_MS_MAX)
    await cluster.kill(turn % BROKERS)
    await cluster.restart(turn % BROKERS)
  }
  // Started only now: a reader with a session would lose its group membership for that long after each kill.
  const outputs = followOutputs(t, stream)
  await outputs.readToEnd()
  const failed = await sumOf('sluice_transaction_aborts_total')
  for (const scorer of scorers) {
    strictEqual(await scorer.end('SIGTERM'), 0, scorer.log.slice(-2_000))
  }
  ok(failed > KILLS / 2, `only ${failed} commits met a kill`)
  deepStrictEqual((await audit(stream, outputs)).slice(0, 20), [])
  deepStrictEqual((await wrongDecisions(stream, outputs, events)).slice(0, 5), [])
})
