// Goal: no crash forgets a lease, extends one twice or publishes a release twice; the breaker's count is as if there had
// been none.
// Method: SIGKILL at seeded random points of progress while leases open, grow and end; all revisions of all alerts against
// a run that nothing happens to. A control without transactions shows that the kills do fall where they hurt.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { alertsByPlace, audit, differences } from '../support/audit.ts'
import { draftVariantOf } from '../support/model-variants.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import { seededNumbers } from '../support/seeded-numbers.ts'
import { startScorer } from '../support/scorer-process.ts'
import { openStream, simulatedEvents, type TestStream } from '../support/streams.ts'
import { decideUndisturbed } from '../support/undisturbed.ts'

const IS_FULL = process.env['SLUICE_FULL'] === '1'
const KILLS = IS_FULL ? 100 : 12
const TRANSACTIONS = IS_FULL ? 40_000 : 5_000
const BATCH_SIZE_MAX = 32
const KILL_DELAY_MS_MAX = 40
/** Enough blocks that many cards are blocked again while they are, and few enough that some are not. */
const EAGER = { flag: 0.05, block: 0.2 }

function blocking(t: TestContext): Record<string, string> {
  return {
    SLUICE_MODE: 'enforce',
    SLUICE_MODEL: draftVariantOf(t, 'eager', EAGER).folder,
    SLUICE_BREAKER_BLOCKS_PER_MINUTE: '8',
    SLUICE_BREAKER_WINDOW_MS: '86400000',
    SLUICE_BREAKER_SAMPLE_MIN: '20',
    SLUICE_BREAKER_TRAFFIC_SHARE: '0.5',
    SLUICE_BREAKER_VALUE_SHARE: '1',
  }
}

async function decideWithKills(
  t: TestContext,
  events: readonly ProducedEvent[],
  options: {
    readonly more: Readonly<Record<string, string>>
    readonly kills: number
    readonly delayMsMax: number
    readonly unsafe: string
  },
): Promise<{ readonly stream: TestStream; readonly outputs: Outputs; readonly kills: number }> {
  const stream = await openStream(t, `leases-${options.unsafe}`)
  const outputs = followOutputs(t, stream)
  await stream.send(events)
  const environment = stream.environment({
    SLUICE_ALIGNMENT: 'aligned',
    SLUICE_BATCH_SIZE_MAX: String(BATCH_SIZE_MAX),
    SLUICE_SESSION_TIMEOUT_MS: '1000',
    SLUICE_UNSAFE: options.unsafe,
    ...options.more,
  })
  const random = seededNumbers(20_260_202)
  const transactions = stream.sent.reduce((sum, { length }) => sum + length, 0)
  const blocksBetweenMax = Math.max(1, Math.floor(transactions / BATCH_SIZE_MAX / options.kills))
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

function countOf({ alerts }: Outputs, cause: string): number {
  return alerts.filter((alert) => alert.cause === cause).length
}

test(`${KILLS} kills forget no lease, and publish each extension and each release once`, async (t) => {
  const events = await simulatedEvents(TRANSACTIONS, { fraudShare: 0.08 })
  const more = blocking(t)
  const reference = await decideUndisturbed(t, events, more)
  const { stream, outputs, kills } = await decideWithKills(t, events, {
    ...{ more, kills: KILLS, delayMsMax: KILL_DELAY_MS_MAX, unsafe: 'none' },
  })
  strictEqual(kills, KILLS)
  deepStrictEqual(audit(stream, outputs).slice(0, 20), [])
  deepStrictEqual(differences(reference.alerts, alertsByPlace(outputs)).slice(0, 3), [])
  const expired = countOf(outputs, 'expired')
  const extended = countOf(outputs, 'extended')
  ok(expired > 30, `only ${expired} leases have ended`)
  ok(extended > 10, `only ${extended} were extended`)
  ok(
    outputs.alerts.some(({ marks }) => marks.includes('breaker_open')),
    'the breaker was never asked to act',
  )
  // What is live is what was blocked and not released.
  const live = new Set<string>()
  for (const { card, action, cause, lease } of outputs.alerts) {
    if (action === 'release') live.delete(card)
    else if (action === 'block' && (cause !== null || lease !== null)) live.add(card)
  }
  deepStrictEqual([...outputs.liveLeases.keys()].sort(), [...live].sort())
})

test('the same kills without transactions do lose or double words on blocks', async (t) => {
  const events = await simulatedEvents(3_000, { fraudShare: 0.08 })
  const { stream, outputs } = await decideWithKills(t, events, {
    ...{ more: blocking(t), kills: 10, delayMsMax: 0, unsafe: 'no-transactions' },
  })
  const promises = new Set(audit(stream, outputs).map(({ promise }) => promise))
  ok(promises.has('once') || promises.has('alerts'), 'the control has found nothing')
})
