// Goal: leases of a quiet stream end by the clock, once, whatever is killed around that moment.
// Method: no traffic but a few payments whose leases are due a second later; SIGKILL at a seeded random time before,
// at and after that, and a new scorer, repeatedly; an auditor reads all alerts. The control has no Kafka transactions,
// and is killed between the release and its record.

import { ok, strictEqual } from 'node:assert/strict'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { test } from 'node:test'
import { assertSettled, bookOf } from '../support/lease-ledger.ts'
import {
  cardsOfPartition,
  PARTITIONS,
  LEASE_MS,
  openLeaseStream,
  type LeaseStream,
} from '../support/lease-stream.ts'
import { startScorer } from '../support/scorer-process.ts'
import { seededNumbers } from '../support/seeded-numbers.ts'
import { SHORT_SESSION } from '../support/streams.ts'

const IS_FULL = process.env['SLUICE_FULL'] === '1'
const KILLS = IS_FULL ? 60 : 4
const CARDS_OF_PARTITION = 4
/** How long after the payments the first of their leases is due, and how far apart they are. */
const DUE_IN_MS = 1_500
const DUE_EVERY_MS = 100
/** The kill falls at most this long before or after the first lease is due, with its grace. */
const KILL_WITHIN_MS = 350
const GRACE_MS = 100
/** Event time of a round after that of the one before: far less than a lease, so that no payment ends one. */
const ROUND_EVENT_MS = 500

/**
 * Pays with new cards of every partition. In the time of the stream nothing more happens, so the clock ends their leases.
 * Resolves with the time at which the first is due.
 */
async function pay(of: LeaseStream, round: number): Promise<number> {
  const cards = PARTITIONS.flatMap((partition) =>
    cardsOfPartition(partition, (round + 1) * CARDS_OF_PARTITION).slice(-CARDS_OF_PARTITION),
  )
  const nowMs = Date.now()
  const sentMs = nowMs - LEASE_MS + DUE_IN_MS
  const startMs = round * ROUND_EVENT_MS
  await of.pay(
    cards.map((card, index) => ({
      card,
      atMs: startMs + (index % CARDS_OF_PARTITION) * DUE_EVERY_MS,
      sentMs,
    })),
  )
  await of.outputs.until('the blocks', () => of.outputs.isCaughtUp)
  // The partition's clock continues from its newest payment.
  return nowMs + DUE_IN_MS - (CARDS_OF_PARTITION - 1) * DUE_EVERY_MS
}

test(`${KILLS} kills around the end of leases in a quiet stream release each card once`, async (t) => {
  const of = await openLeaseStream(t, 'lease-clock')
  const { stream, outputs, environment } = of
  const random = seededNumbers(20_260_303)
  let hits = 0
  for (let round = 0; round < KILLS; round += 1) {
    const scorer = await startScorer(t, { ...environment, ...SHORT_SESSION })
    const dueMs = await pay(of, round)
    const killMs = dueMs + GRACE_MS + (random() % (2 * KILL_WITHIN_MS)) - KILL_WITHIN_MS
    await sleepMs(Math.max(0, killMs - Date.now()))
    await scorer.end('SIGKILL')
    if (outputs.liveLeases.size > 0) hits += 1
  }
  const last = await startScorer(t, environment)
  await outputs.until('all releases', () => outputs.liveLeases.size === 0)
  await outputs.readToEnd()
  strictEqual(await last.end('SIGTERM'), 0)

  await assertSettled(stream, outputs)
  const released = outputs.alerts.filter(({ action }) => action === 'release')
  strictEqual(released.length, KILLS * CARDS_OF_PARTITION * PARTITIONS.length)
  ok(released.every(({ cause }) => cause === 'expired'))
  ok(hits > 0, 'every kill came when all was over')
})

test('without Kafka transactions a kill between the release and its record releases twice', async (t) => {
  const of = await openLeaseStream(t, 'lease-clock-unsafe', SHORT_SESSION)
  const { outputs } = of
  // The gap of the scorer itself is a few ms: a run of 40 kills without the pause found nothing.
  const environment = { ...of.environment, CARELESS_PAUSE_MS: '30' }
  const released = (): number => outputs.alerts.filter(({ action }) => action === 'release').length
  let scorer = await startScorer(t, environment, 'transactions')
  const kills = 40
  // A payment may be decided again as well: what counts here is a release.
  const isCaught = (): boolean =>
    bookOf(outputs.alerts).faults.some((fault) => fault.startsWith('release (expired)'))
  for (let round = 0; round < kills && !isCaught(); round += 1) {
    const before = released()
    await pay(of, round)
    await outputs.until('the first release', () => released() > before)
    await scorer.end('SIGKILL')
    scorer = await startScorer(t, environment, 'transactions')
    await outputs.until('all releases', () => outputs.liveLeases.size === 0)
  }
  ok(isCaught(), 'the control has found no second release')
})
