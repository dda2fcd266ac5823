// Goal: P5, transactions of a card are decided, and its alerts are published, in the order of their messages, within
// and across batches, whatever is killed.
// Method: payments of few cards, some out of time order, several of a card in each batch; SIGKILL at seeded random
// points; the auditor's rule of order. A control without transactions decides some of them again, after later ones.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { audit } from '../support/audit.ts'
import { decideWithKills } from '../support/killed-runs.ts'
import { withLate } from '../support/late-events.ts'
import { simulatedEvents } from '../support/streams.ts'

const KILLS = process.env['SLUICE_FULL'] === '1' ? 60 : 8
const CARDS = 40
/** The same for the scorer with its guards and for the control. */
const KILLED = {
  name: 'order',
  seed: 20_260_404,
  kills: KILLS,
  batchSizeMax: 64,
  delayMsMax: 40,
} as const

const events = async () => withLate(await simulatedEvents(6_000, { cards: CARDS }), 400)

test(`${KILLS} kills leave the decisions and alerts of each card in the order of its messages`, async (t) => {
  const { stream, outputs, kills } = await decideWithKills(t, await events(), {
    ...KILLED,
    without: null,
  })
  strictEqual(kills, KILLS)
  deepStrictEqual((await audit(stream, outputs)).slice(0, 20), [])
  // There was an order to keep within a batch and across batches.
  const cardsOf = outputs.decisionBatches.map(({ batch }) =>
    batch.decisions.map(({ card }) => card),
  )
  ok(
    cardsOf.filter((cards) => new Set(cards).size < cards.length).length > 20,
    'no card was met twice',
  )
  ok(outputs.alerts.length > 50, `only ${outputs.alerts.length} alerts`)
})

test('without transactions the same kills publish decisions after later ones of their cards', async (t) => {
  const { stream, outputs } = await decideWithKills(t, await events(), {
    ...KILLED,
    without: 'transactions',
  })
  const promises = new Set((await audit(stream, outputs)).map(({ promise }) => promise))
  ok(promises.has('order'), 'the control has found nothing')
})
