// Goal: leases of a quiet stream end by the clock, once, whatever is killed around that moment. Method: no traffic but
// a few payments whose leases are due a second later; SIGKILL, in turn, at the first release in the log, committed or
// not, and at a seeded random time before, at and after the first is due; then a new scorer; an auditor reads all
// alerts. The control does the same without Kafka transactions.

import { ok, strictEqual } from 'node:assert/strict'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import { topicName } from '../../services/platform/kafka/topics.ts'
import type { Guard } from '../support/careless-scorer.ts'
import { closeWith } from '../support/cleanup.ts'
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
const KILLS = IS_FULL ? 60 : 6
/** The control ends at its first fault. */
const CONTROL_KILLS_MAX = 40
const CARDS_OF_PARTITION = 4
/** Time from the payments to the end of their first lease, and between the ends of two leases. */
const DUE_IN_MS = 1_000
const DUE_EVERY_MS = 100
/** The kill falls at most this long before or after the first lease is due, with its grace. */
const KILL_WITHIN_MS = 350
const GRACE_MS = 100
/** Event time between two rounds: far less than a lease, so that no payment ends one. */
const ROUND_EVENT_MS = 500

/**
 * Pays with new cards of every partition. Nothing more happens in the time of the stream, so the clock ends their
 * leases. Resolves with the time at which the first is due.
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

/** Watches for releases in the log, including those of an open transaction. */
async function watchReleases(t: TestContext, { stream }: LeaseStream) {
  const { kafka, admin, codecs, prefix } = stream
  const groupId = `${stream.groupId}-watch`
  const consumer = kafka.consumer({ groupId, readUncommitted: true, maxWaitTimeInMs: 100 })
  closeWith(t, async () => {
    await consumer.disconnect()
    await admin.deleteGroups([groupId])
  })
  let onRelease = (): void => undefined
  await consumer.connect()
  await consumer.subscribe({ topics: [topicName(prefix, 'alerts')], fromBeginning: true })
  await consumer.run({
    eachMessage: ({ message: { value } }) => {
      const alert = codecs.alert.decode(value)
      if (alert.ok && alert.value.action === 'release') onRelease()
      return Promise.resolve()
    },
  })
  return {
    next: () =>
      new Promise<void>((resolve) => {
        onRelease = resolve
      }),
  }
}

/**
 * Pays, and kills the scorer when leases end, round after round; finally a scorer that is not killed releases the rest.
 */
async function killAtReleases(
  t: TestContext,
  without: Guard | null,
  isToGoOn: (round: number, of: LeaseStream) => boolean,
) {
  const of = await openLeaseStream(t, `lease-clock-${without ?? 'real'}`, {
    ...SHORT_SESSION,
    // The next scorer takes the place of the killed one at once.
    SLUICE_GROUP_INSTANCE_ID: 'killed',
  })
  const { outputs, environment } = of
  const releases = await watchReleases(t, of)
  const random = seededNumbers(20_260_303)
  const nothingLeased = (): Promise<void> =>
    outputs.until('all releases', () => outputs.liveLeases.size === 0)
  let scorer = await startScorer(t, environment, without)
  let hits = 0
  for (let round = 0; isToGoOn(round, of); round += 1) {
    const dueMs = await pay(of, round)
    if (round % 2 === 0) await releases.next()
    else {
      const killMs = dueMs + GRACE_MS + (random() % (2 * KILL_WITHIN_MS)) - KILL_WITHIN_MS
      await sleepMs(Math.max(0, killMs - Date.now()))
    }
    await scorer.end('SIGKILL')
    if (outputs.liveLeases.size > 0) hits += 1
    scorer = await startScorer(t, environment, without)
    await nothingLeased()
  }
  await outputs.readToEnd()
  strictEqual(await scorer.end('SIGTERM'), 0)
  return { ...of, hits }
}

test(`${KILLS} kills around the end of leases in a quiet stream release each card once`, async (t) => {
  const { stream, outputs, hits } = await killAtReleases(t, null, (round) => round < KILLS)
  await assertSettled(stream, outputs)
  const released = outputs.alerts.filter(({ action }) => action === 'release')
  strictEqual(released.length, KILLS * CARDS_OF_PARTITION * PARTITIONS.length)
  ok(released.every(({ cause }) => cause === 'expired'))
  ok(hits > 0, 'every kill came when all was over')
})

test('without Kafka transactions the same kills release cards twice', async (t) => {
  // A payment may be decided again too; only a release counts here.
  const isCaught = ({ outputs }: LeaseStream): boolean =>
    bookOf(outputs.alerts).faults.some((fault) => fault.startsWith('release (expired)'))
  const of = await killAtReleases(
    t,
    'transactions',
    (round, stream) => round < CONTROL_KILLS_MAX && !isCaught(stream),
  )
  ok(isCaught(of), 'the control has found no second release')
})
