// Goal: P1, P2 and P3 hold whatever crashes: every offset is answered once, and just as without crashes; and the state
// that is left is the fold of the log.
// Method: SIGKILL at seeded random points of progress, restart, audit by a committed reader; a control without
// transactions shows that the kills do fall where they hurt.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { alertsByPlace, audit, decisionsByPlace, differences } from '../support/audit.ts'
import { foldWhole, logsOfSent } from '../support/live-oracle.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import { seededNumbers } from '../support/seeded-numbers.ts'
import { startScorer } from '../support/scorer-process.ts'
import { openStream, simulatedEvents, type TestStream } from '../support/streams.ts'
import { normalStateIn, normalStateOf } from '../support/stored-state.ts'
import { decideUndisturbed } from '../support/undisturbed.ts'

const IS_FULL = process.env['SLUICE_FULL'] === '1'
const KILLS = IS_FULL ? 200 : 25
const TRANSACTIONS = IS_FULL ? 100_000 : 20_000
const BATCH_SIZE_MAX = 64
/** Where within the work that follows a commit the kill falls. */
const KILL_DELAY_MS_MAX = 40

interface Killing {
  readonly stream: TestStream
  readonly outputs: Outputs
  readonly kills: number
}

/** Decides the events while scorers are killed, then in peace to the end. */
async function decideWithKills(
  t: TestContext,
  events: readonly ProducedEvent[],
  options: { readonly kills: number; readonly delayMsMax: number; readonly unsafe: string },
): Promise<Killing> {
  const stream = await openStream(t, `kills-${options.unsafe}`)
  const outputs = followOutputs(t, stream)
  await stream.send(events)
  const environment = stream.environment({
    SLUICE_ALIGNMENT: 'aligned',
    SLUICE_BATCH_SIZE_MAX: String(BATCH_SIZE_MAX),
    SLUICE_SESSION_TIMEOUT_MS: '1000',
    SLUICE_UNSAFE: options.unsafe,
  })
  const random = seededNumbers(20_260_101)
  const transactions = stream.sent.reduce((sum, { length }) => sum + length, 0)
  // Twice the mean leaves work for every kill: the last ones must not find the stream decided.
  const blocksBetweenMax = Math.floor(transactions / BATCH_SIZE_MAX / options.kills)
  let kills = 0
  while (kills < options.kills) {
    const scorer = await startScorer(t, environment)
    const target = outputs.blocks.length + 1 + (random() % blocksBetweenMax)
    await outputs.until(
      'the next kill',
      () => outputs.blocks.length >= target || outputs.isCaughtUp,
    )
    await sleepMs(options.delayMsMax === 0 ? 0 : random() % options.delayMsMax)
    if (outputs.isCaughtUp) break
    await scorer.end('SIGKILL')
    kills += 1
  }
  const scorer = await startScorer(t, environment)
  await outputs.readToEnd()
  strictEqual(await scorer.end('SIGTERM'), 0)
  return { stream, outputs, kills }
}

test(`${KILLS} kills lose nothing, double nothing and change no decision`, async (t) => {
  const events = await simulatedEvents(TRANSACTIONS)
  const reference = await decideUndisturbed(t, events)
  ok(reference.alerts.size > 50, `only ${reference.alerts.size} alerts to compare`)
  const { stream, outputs, kills } = await decideWithKills(t, events, {
    kills: KILLS,
    delayMsMax: KILL_DELAY_MS_MAX,
    unsafe: 'none',
  })
  strictEqual(kills, KILLS)
  deepStrictEqual(audit(stream, outputs).slice(0, 20), [])
  deepStrictEqual(differences(reference.decisions, decisionsByPlace(outputs)).slice(0, 5), [])
  deepStrictEqual(differences(reference.alerts, alertsByPlace(outputs)).slice(0, 5), [])
  // And the state is that of the whole log, value by value.
  const whole = normalStateOf(foldWhole(logsOfSent(events), 'aligned'))
  ok(whole.size > 100, `only ${whole.size} values to compare`)
  const stored = await normalStateIn(stream.redisUrl, stream.streamId)
  deepStrictEqual(differences(whole, stored).slice(0, 3), [])
})

test('the same kills without transactions do lose or double answers', async (t) => {
  // Right after a block shows up its offset is about to be committed: the kill falls between the two.
  const { stream, outputs } = await decideWithKills(t, await simulatedEvents(8_000), {
    kills: 10,
    delayMsMax: 0,
    unsafe: 'no-transactions',
  })
  const promises = new Set(audit(stream, outputs).map(({ promise }) => promise))
  ok(promises.has('once') || promises.has('answered'), 'the control has found nothing')
})
