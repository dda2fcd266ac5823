// Goal: whenever scorers, gateways, brokers and Redis are killed, every request is answered, each transaction is decided
// once, every answer is what the log has, and what a gateway says to be in the log is there. Method: two gateways and two
// scorers under load on a cluster of this test's own, kills in turn, and a reader that shares no client with the services.
// A control that does not wait for acknowledgements shows that the same kills cause faults.

import { deepStrictEqual, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { gatewaysWithKills } from '../support/killed-gateways.ts'

const ROUNDS = process.env['SLUICE_FULL'] === '1' ? 6 : 1

test(`${ROUNDS} kills each of scorer, gateway, broker and Redis leave every request answered and decided once`, async (t) => {
  const found = await gatewaysWithKills(t, { rounds: ROUNDS, main: 'services/cli/main.ts' })
  const { asked, decided, fallbacks, repeats, ...faults } = found
  t.diagnostic(
    `${asked} asked, ${decided} decided in time, ${fallbacks} fallbacks, ${repeats} repeats`,
  )
  deepStrictEqual(faults, { unanswered: [], wrong: [], lost: [], decidedTwice: [] })
  ok(fallbacks > 0 && repeats > 0, 'the kills met no request')
  ok(decided > 0, 'nothing was decided in time')
})

test('the same kills lose transactions of gateways that wait for no acknowledgement', async (t) => {
  const found = await gatewaysWithKills(t, {
    rounds: ROUNDS,
    main: 'test/support/careless-gateway.ts',
  })
  ok(found.lost.length > 0, 'the control has lost nothing')
})
