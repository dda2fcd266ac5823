// Goal: decisions are computed again from the log with no mismatch, whatever happened while they were made (P3).
// Method: a live stream with late and repeated transactions, whose scorer is killed again and again in the middle of its
// batches, is replayed whole by the command that people use. 100,000 decisions in the full run.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { disturbed } from '../support/disturbed.ts'
import { temporaryFolder } from '../support/model-variants.ts'
import { followOutputs } from '../support/outputs.ts'
import { startScorer } from '../support/scorer-process.ts'
import { runSluice } from '../support/sluice-command.ts'
import { openStream, SHORT_SESSION, simulatedEvents } from '../support/streams.ts'

const IS_FULL = process.env['SLUICE_FULL'] === '1'
const TRANSACTIONS = IS_FULL ? 100_000 : 4_000
const CARDS = IS_FULL ? 2_000 : 100
const PARTS = IS_FULL ? 10 : 4

interface Ran {
  readonly decisions: number
  readonly mismatched: number
  readonly first: readonly unknown[]
  readonly tolerance: number
  readonly reasons: number
  readonly revisions: number
  readonly scores: { readonly compared: number; readonly ofTarget: number }
}

test('all decisions of a stream whose scorers were killed are replayed with no mismatch', async (t) => {
  const stream = await openStream(t, 'replay')
  const outputs = followOutputs(t, stream)
  const more = { SLUICE_MODE: 'enforce', SLUICE_MODEL_STORE: temporaryFolder(t, 'store') }
  const environment = stream.environment(more)
  const crowd = { cards: CARDS, terminals: 200, merchants: 100 }
  const events = disturbed(await simulatedEvents(TRANSACTIONS, crowd))
  const part = Math.ceil(events.length / PARTS)
  for (let at = 0; at < PARTS; at += 1) {
    const isKilled = at < PARTS - 1
    const scorer = await startScorer(t, { ...environment, ...(isKilled ? SHORT_SESSION : {}) })
    const before = outputs.blocks.length
    await stream.send(events.slice(at * part, (at + 1) * part))
    await outputs.until('some blocks', () => outputs.blocks.length > before)
    if (isKilled) await scorer.end('SIGKILL')
    else await outputs.until('all answers', () => outputs.isCaughtUp)
  }
  const count = outputs.blocks.reduce((sum, { block }) => sum + block.decisions.length, 0)
  const startMs = performance.now()
  const { code, stdout, stderr } = await runSluice(['replay', '--all', '--json'], environment)
  ok(stdout !== '', stderr)
  const ran = JSON.parse(stdout) as Ran
  const seconds = (performance.now() - startMs) / 1_000
  t.diagnostic(`${seconds.toFixed(1)} s: ${JSON.stringify(ran)}`)
  deepStrictEqual(ran.first, [])
  deepStrictEqual([code, ran.mismatched, ran.tolerance], [0, 0, 0])
  strictEqual(ran.decisions, count)
  ok(count >= TRANSACTIONS)
  ok(ran.scores.ofTarget > 0 && ran.reasons > 0 && ran.revisions > 0)
})
