// Goal: no crash loses a lease, extends one twice or publishes a release twice; the breaker counts what the log
// determines. Method: live scorers, SIGKILL at seeded random points of progress while leases open, grow and end; all
// revisions of all alerts are compared with an oracle that applies the log in memory. A control without transactions
// shows that the kills cause faults.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { audit } from '../support/audit.ts'
import { wrongAnswers } from '../support/live-oracle.ts'
import { draftVariantOf } from '../support/model-variants.ts'
import type { Outputs } from '../support/outputs.ts'
import { simulatedEvents } from '../support/streams.ts'
import { decideWithKills } from '../support/killed-runs.ts'

const IS_FULL = process.env['SLUICE_FULL'] === '1'
const KILLS = IS_FULL ? 100 : 6
const TRANSACTIONS = IS_FULL ? 40_000 : 5_000
const BATCH_SIZE_MAX = 32
const KILL_DELAY_MS_MAX = 40
/** The same for the scorer with its guards and for the control. */
const KILLED = {
  name: 'leases',
  seed: 20_260_202,
  kills: KILLS,
  batchSizeMax: BATCH_SIZE_MAX,
  delayMsMax: KILL_DELAY_MS_MAX,
} as const
/** Enough blocks that many blocked cards are blocked again, and few enough that some are not. */
const EAGER = { flag: 0.05, block: 0.2 }

function blocking(t: TestContext): Record<string, string> {
  return {
    // Leases end by event time, which the oracle knows, and never by the clock.
    SLUICE_LEASE_GRACE_MS: '3600000',
    SLUICE_MODE: 'enforce',
    SLUICE_MODEL: draftVariantOf(t, 'eager', EAGER).folder,
    SLUICE_BREAKER_BLOCKS_PER_MINUTE: '8',
    SLUICE_BREAKER_WINDOW_MS: '86400000',
    SLUICE_BREAKER_SAMPLE_MIN: '20',
    SLUICE_BREAKER_TRAFFIC_SHARE: '0.5',
    SLUICE_BREAKER_VALUE_SHARE: '1',
  }
}

function countOf({ alerts }: Outputs, cause: string): number {
  return alerts.filter((alert) => alert.cause === cause).length
}

test(`${KILLS} kills forget no lease, and publish each extension and each release once`, async (t) => {
  const events = await simulatedEvents(TRANSACTIONS, { fraudShare: 0.08 })
  const more = blocking(t)
  const { stream, outputs, kills } = await decideWithKills(t, events, {
    ...KILLED,
    more,
    without: null,
  })
  strictEqual(kills, KILLS)
  deepStrictEqual((await audit(stream, outputs)).slice(0, 20), [])
  const wrong = await wrongAnswers(stream, outputs, events, more)
  deepStrictEqual(wrong.alerts.slice(0, 3), [])
  deepStrictEqual(wrong.decisions.slice(0, 3), [])
  const expired = countOf(outputs, 'expired')
  const extended = countOf(outputs, 'extended')
  ok(expired > 15, `only ${expired} leases have ended`)
  ok(extended > 0, `only ${extended} were extended`)
  ok(
    outputs.alerts.some(({ annotations }) => annotations.includes('breaker_open')),
    'the breaker was never asked to act',
  )
  // A lease is active when its card was blocked and not released.
  const live = new Set<string>()
  for (const { card, action, cause, lease } of outputs.alerts) {
    if (action === 'release') live.delete(card)
    else if (action === 'block' && (cause !== null || lease !== null)) live.add(card)
  }
  deepStrictEqual([...outputs.liveLeases.keys()].sort(), [...live].sort())
})

test('the same kills without transactions do lose or duplicate changes of leases', async (t) => {
  const events = await simulatedEvents(TRANSACTIONS, { fraudShare: 0.08 })
  const { stream, outputs, kills } = await decideWithKills(t, events, {
    ...KILLED,
    more: blocking(t),
    without: 'transactions',
  })
  strictEqual(kills, KILLS)
  const promises = new Set((await audit(stream, outputs)).map(({ promise }) => promise))
  ok(promises.has('once') || promises.has('alerts'), 'the control has found nothing')
})
