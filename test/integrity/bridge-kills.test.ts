// Goal: every message of a team's topic counts once, whenever the bridge is killed. Method: SIGKILL at seeded random points
// while messages keep coming, restart, and a reader that shares no code with the services. A control that commits its
// offsets outside the transaction of its output shows that the same kills cause faults.

import { deepStrictEqual, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { bridgeWithKills } from '../support/killed-bridge.ts'

const KILLS = process.env['SLUICE_FULL'] === '1' ? 25 : 5
const SEED = 20_260_102

test(`${KILLS} kills of the bridge lose nothing and double nothing`, async (t) => {
  const { sent, lost, doubled } = await bridgeWithKills(t, {
    kills: KILLS,
    seed: SEED,
    main: 'services/cli/main.ts',
  })
  t.diagnostic(`${sent} messages`)
  ok(sent > 1_000, `only ${sent} messages`)
  deepStrictEqual([lost.slice(0, 5), doubled.slice(0, 5)], [[], []])
})

test('the same kills with offsets outside the transaction do double messages', async (t) => {
  const { lost, doubled } = await bridgeWithKills(t, {
    kills: KILLS,
    seed: SEED,
    main: 'test/support/careless-bridge.ts',
  })
  ok(lost.length + doubled.length > 0, 'the control has found nothing')
})
