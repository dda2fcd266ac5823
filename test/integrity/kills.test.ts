// Goal: P1, P2 and P3 hold whatever crashes: every offset is answered once, as the log determines, and the state at the
// end is that of the log. Method: live scorers, SIGKILL at seeded random points of progress, restart, audit by a
// committed reader, and an oracle that applies the log in memory. A control without transactions shows that the same
// kills cause faults.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { audit, differences } from '../support/audit.ts'
import { DEGRADED, foldWhole, logsOfSent, wrongAnswers } from '../support/live-oracle.ts'
import { simulatedEvents } from '../support/streams.ts'
import { normalStateIn, normalStateOf } from '../support/stored-state.ts'
import { decideWithKills } from '../support/killed-runs.ts'

const IS_FULL = process.env['SLUICE_FULL'] === '1'
const KILLS = IS_FULL ? 200 : 25
const TRANSACTIONS = IS_FULL ? 100_000 : 20_000
const BATCH_SIZE_MAX = 64
/** Largest delay of a kill after a commit. */
const KILL_DELAY_MS_MAX = 40
/** The same for the scorer with its guards and for the control. */
const KILLED = {
  name: 'kills',
  seed: 20_260_101,
  kills: KILLS,
  batchSizeMax: BATCH_SIZE_MAX,
  delayMsMax: KILL_DELAY_MS_MAX,
} as const

test(`${KILLS} kills lose nothing, double nothing and change no decision`, async (t) => {
  const events = await simulatedEvents(TRANSACTIONS)
  const { stream, outputs, kills } = await decideWithKills(t, events, {
    ...KILLED,
    without: null,
  })
  strictEqual(kills, KILLS)
  deepStrictEqual((await audit(stream, outputs)).slice(0, 20), [])
  ok(outputs.alerts.length > 50, `only ${outputs.alerts.length} alerts`)
  const wrong = await wrongAnswers(stream, outputs, events)
  deepStrictEqual(wrong.decisions.slice(0, 5), [])
  deepStrictEqual(wrong.alerts.slice(0, 5), [])
  const decisions = outputs.decisionBatches.flatMap(({ batch }) => batch.decisions)
  const compared = decisions.filter(({ annotations }) => !annotations.includes(DEGRADED)).length
  ok(compared > TRANSACTIONS / 2, `only ${compared} decisions were made with state`)
  // The state equals that of the whole log, value by value.
  const whole = normalStateOf(foldWhole(logsOfSent(stream, events)))
  ok(whole.size > 100, `only ${whole.size} values to compare`)
  const stored = await normalStateIn(stream.redisUrl, stream.streamId)
  deepStrictEqual(differences(whole, stored).slice(0, 3), [])
})

test('the same kills without transactions do lose or double answers', async (t) => {
  const { stream, outputs, kills } = await decideWithKills(t, await simulatedEvents(TRANSACTIONS), {
    ...KILLED,
    without: 'transactions',
  })
  strictEqual(kills, KILLS)
  const promises = new Set((await audit(stream, outputs)).map(({ promise }) => promise))
  ok(promises.has('once') || promises.has('answered'), 'the control has found nothing')
})
