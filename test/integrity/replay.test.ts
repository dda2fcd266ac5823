// Goal: decisions are recomputed from the log with no mismatch, whatever happened while they were made (P3).
// Method: a live stream has late and repeated transactions. Its scorer is killed repeatedly in the middle of its
// batches, and its Redis is emptied. `sluice replay` recomputes the whole stream: 100,000 decisions in the full run.
// A control does not check for lost state.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { disturbed } from '../support/disturbed.ts'
import { temporaryFolder } from '../support/model-variants.ts'
import type { Guard } from '../support/careless-scorer.ts'
import { followOutputs } from '../support/outputs.ts'
import { openDatabase } from '../support/own-database.ts'
import { startScorer } from '../support/scorer-process.ts'
import { runSluice } from '../support/sluice-command.ts'
import { openStream, SHORT_SESSION, simulatedEvents } from '../support/streams.ts'

const IS_FULL = process.env['SLUICE_FULL'] === '1'
const TRANSACTIONS = IS_FULL ? 100_000 : 4_000
const CARDS = IS_FULL ? 2_000 : 100
const PARTS = IS_FULL ? 10 : 4

interface Replayed {
  readonly code: number | null
  readonly ran: Ran
  /** Number of published decisions. */
  readonly count: number
}

interface Ran {
  readonly decisions: number
  readonly mismatched: number
  readonly first: readonly unknown[]
  readonly tolerance: number
  readonly reasons: number
  readonly revisions: number
  readonly scores: { readonly compared: number; readonly ofTarget: number }
}

/** Decides a stream whose scorers are killed, and whose Redis is emptied before the last part; then replays it. */
async function decideAndReplay(t: TestContext, without: Guard | null): Promise<Replayed> {
  const stream = await openStream(t, `replay-${without ?? 'real'}`)
  const outputs = followOutputs(t, stream)
  const { redis, redisUrl } = await openDatabase(t, stream.redisUrl)
  const environment = stream.environment({
    SLUICE_MODE: 'enforce',
    SLUICE_MODEL_STORE: temporaryFolder(t, 'store'),
    SLUICE_REDIS_URL: redisUrl,
    // Every batch reads all of its values, so that a loss in Redis is noticed at once.
    SLUICE_STATE_CACHE_MIB: '0',
  })
  const crowd = { cards: CARDS, terminals: 200, merchants: 100 }
  const events = disturbed(await simulatedEvents(TRANSACTIONS, crowd))
  // One more than the kills need, for the time after Redis was emptied.
  const part = Math.ceil(events.length / (PARTS + 1))
  for (let at = 0; at < PARTS; at += 1) {
    const isKilled = at < PARTS - 1
    const session = isKilled ? SHORT_SESSION : {}
    const scorer = await startScorer(t, { ...environment, ...session }, without)
    const before = outputs.decisionBatches.length
    await stream.send(events.slice(at * part, (at + 1) * part))
    await outputs.until('some decision batches', () => outputs.decisionBatches.length > before)
    if (isKilled) await scorer.end('SIGKILL')
    else await outputs.until('all answers', () => outputs.isCaughtUp)
    if (at === PARTS - 1) {
      await redis.flushdb()
      await stream.send(events.slice(PARTS * part))
      await outputs.until('all answers', () => outputs.isCaughtUp)
    }
  }
  const count = outputs.decisionBatches.reduce((sum, { batch }) => sum + batch.decisions.length, 0)
  const startMs = performance.now()
  const { code, stdout, stderr } = await runSluice(['replay', '--all', '--json'], environment)
  ok(stdout !== '', stderr)
  const ran = JSON.parse(stdout) as Ran
  const seconds = (performance.now() - startMs) / 1_000
  t.diagnostic(`${seconds.toFixed(1)} s: ${JSON.stringify(ran)}`)
  return { code, ran, count }
}

test('all decisions of a stream with killed scorers are replayed with no mismatch', async (t) => {
  const { code, ran, count } = await decideAndReplay(t, null)
  deepStrictEqual(ran.first, [])
  deepStrictEqual([code, ran.mismatched, ran.tolerance], [0, 0, 0])
  strictEqual(ran.decisions, count)
  ok(count >= TRANSACTIONS)
  ok(ran.scores.ofTarget > 0 && ran.reasons > 0 && ran.revisions > 0)
})

test('without the state-loss check, the same decisions are found to be wrong', async (t) => {
  const { code, ran } = await decideAndReplay(t, 'loss-check')
  ok(code !== 0 && ran.mismatched > 0, 'the replay has found nothing')
})
