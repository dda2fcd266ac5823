// Goal: scorers that join, leave, and resume as zombies while cards are blocked lose no lease and publish no change of
// one twice. Method: payments, labels and releases flow while scorers are started, ended and paused past their session;
// an auditor reads all alerts, and compares the compacted topic with them. The control has no Kafka transactions: its
// zombie releases cards that its successor has already released.

import { ok, strictEqual } from 'node:assert/strict'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { test, type TestContext } from 'node:test'
import type { Alert } from '../../services/core/wire/records.ts'
import { readCommittedOffsets, readLogEnds } from '../../services/platform/kafka/log-ends.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { assertSettled, bookOf } from '../support/lease-ledger.ts'
import {
  cardsOfPartition,
  PARTITIONS,
  LEASE_MS,
  openLeaseStream,
  type LeaseStream,
} from '../support/lease-stream.ts'
import type { Guard } from '../support/careless-scorer.ts'
import { eventually } from '../support/poll.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { seededNumbers } from '../support/seeded-numbers.ts'
import { SHORT_SESSION } from '../support/streams.ts'

const IS_FULL = process.env['SLUICE_FULL'] === '1'
const ROUNDS = IS_FULL ? 12 : 1
const CARDS_OF_PARTITION = 16
const CARDS = PARTITIONS.flatMap((partition) => cardsOfPartition(partition, CARDS_OF_PARTITION))
/** A process that is paused for longer detects the pause, and releases nothing before it has read its queue. */
const NOTICED_MS = 4_000
const CONTROL_ROUNDS_MAX = 6
/** Traffic: interval, payments per tick, and event time per tick. Each card pays about once per lease. */
const TICK = { everyMs: 50, payments: 4, eventMs: 3_000 } as const
/** Time from the last payments of a quiet stream to the end of their leases by the clock. */
const DUE_IN_MS = 2_500

/** Payments of random cards, and releases and labels for random active leases, until it is stopped. */
class Traffic {
  readonly #of: LeaseStream
  readonly #random: () => number
  readonly #done: Promise<void>
  #isStopping = false
  #atMs: number

  constructor(of: LeaseStream, seed: number, fromMs: number) {
    this.#of = of
    this.#atMs = fromMs
    this.#random = seededNumbers(seed)
    this.#done = this.#run()
  }

  /** Event time of the last payments. */
  async stop(): Promise<number> {
    this.#isStopping = true
    await this.#done
    return this.#atMs
  }

  async #run(): Promise<void> {
    while (!this.#isStopping) {
      this.#atMs += TICK.eventMs
      const cards = Array.from({ length: TICK.payments }, () => this.#oneOf(CARDS))
      await this.#of.pay(cards.map((card) => ({ card, atMs: this.#atMs })))
      await this.#say()
      await sleepMs(TICK.everyMs)
    }
  }

  async #say(): Promise<void> {
    const { outputs, beginMs } = this.#of
    const leases = [...outputs.liveLeases.values()]
    if (leases.length === 0) return
    const { card, alertId } = this.#oneOf(leases)
    const alert = outputs.alerts.find((each) => each.alertId === alertId)
    const said = this.#random() % 6
    if (said === 0) await this.#of.release(card, alertId)
    if (said === 1 && alert !== undefined) {
      const verdict = this.#random() % 2 === 0 ? 'fraud' : 'genuine'
      await this.#of.label(alert, verdict, beginMs + this.#atMs)
    }
  }

  #oneOf<One>(all: readonly One[]): One {
    const one = all[this.#random() % all.length]
    if (one === undefined) throw new Error('There is nothing to choose from.')
    return one
  }
}

function countOf(alerts: readonly Alert[], cause: Alert['cause']): number {
  return alerts.filter((alert) => alert.cause === cause).length
}

/** Resolves once this many more alerts are published. */
async function moreAlerts({ outputs }: LeaseStream, count: number): Promise<void> {
  const target = outputs.alerts.length + count
  await outputs.until('more alerts', () => outputs.alerts.length >= target)
}

async function shares(scorers: readonly ScorerProcess[], partitions: string): Promise<void> {
  await eventually(`partitions are dealt out as ${partitions}`, async () => {
    const held = await Promise.all(
      scorers.map((scorer) => scorer.metric('sluice_partitions_assigned')),
    )
    return held.toSorted((a, b) => a - b).join() === partitions
  })
}

/** Resolves once the owners have recorded that all payments are decided, so that they wait for more. */
async function placesRecorded({ stream: { admin, prefix, groupId } }: LeaseStream): Promise<void> {
  const topic = topicName(prefix, 'transactions')
  await eventually('the places are recorded', async () => {
    const recorded = await readCommittedOffsets(admin, groupId, topic)
    const ends = await readLogEnds(admin, topic)
    return [...ends].every(([partition, { high }]) => recorded.get(partition) === high)
  })
}

/**
 * In a quiet stream, stops the owner of two partitions before their leases end by the clock, lets the other scorer
 * release them, and resumes the first one, after a while at the latest.
 */
async function releaseTwice(
  of: LeaseStream,
  [zombie, successor]: readonly [ScorerProcess, ScorerProcess],
  lastAtMs: number,
  stoppedMsMax = Infinity,
): Promise<void> {
  const { outputs } = of
  const atMs = lastAtMs + 1
  const cards = PARTITIONS.flatMap((partition) => cardsOfPartition(partition, 3))
  await shares([zombie, successor], '2,2')
  // The clock of these partitions continues with this much of the leases remaining.
  const sentMs = Date.now() - LEASE_MS + DUE_IN_MS
  await of.pay(cards.map((card) => ({ card, atMs, sentMs })))
  const isHeld = () => cards.every((card) => outputs.liveLeases.has(card))
  await outputs.until('the last leases', () => outputs.isCaughtUp && isHeld())
  await placesRecorded(of)
  zombie.signal('SIGSTOP')
  const released = outputs.until('all are released', () => outputs.liveLeases.size === 0)
  await (stoppedMsMax === Infinity ? released : Promise.race([released, sleepMs(stoppedMsMax)]))
  zombie.signal('SIGCONT')
  await released
  await shares([zombie, successor], '2,2')
}

async function start(
  t: TestContext,
  { environment }: LeaseStream,
  without: Guard | null = null,
): Promise<ScorerProcess> {
  return startScorer(t, environment, without)
}

test('scorers that join, leave and resume as zombies publish each change of a lease once', async (t) => {
  const of = await openLeaseStream(t, 'lease-rebalance', SHORT_SESSION)
  const { stream, outputs } = of
  let [oldest, middle] = await Promise.all([start(t, of), start(t, of)])
  await shares([oldest, middle], '2,2')
  let isAsked = 0
  let atMs = 0
  for (let round = 0; round < ROUNDS; round += 1) {
    const traffic = new Traffic(of, round + 1, atMs)
    await moreAlerts(of, 100)
    const newest = await start(t, of)
    await shares([oldest, middle, newest], '1,1,2')
    await moreAlerts(of, 50)
    strictEqual(await oldest.end('SIGTERM'), 0)
    await shares([middle, newest], '2,2')
    await moreAlerts(of, 50)
    middle.signal('SIGSTOP')
    await shares([newest], '4')
    await moreAlerts(of, 50)
    middle.signal('SIGCONT')
    await shares([middle, newest], '2,2')
    await moreAlerts(of, 50)
    atMs = await traffic.stop()
    await releaseTwice(of, [middle, newest], atMs)
    isAsked += await middle.metric('sluice_transaction_aborts_total')
    oldest = middle
    middle = newest
  }
  await outputs.readToEnd()
  strictEqual(await oldest.end('SIGTERM'), 0)
  strictEqual(await middle.end('SIGTERM'), 0)

  await assertSettled(stream, outputs)
  ok(isAsked > 0, 'the zombie never asked to write')
  for (const cause of ['extended', 'expired', 'person', 'genuine_label'] as const) {
    ok(countOf(outputs.alerts, cause) > 0, `nothing was ${cause}`)
  }
})

test('without Kafka transactions the same zombie releases cards a second time', async (t) => {
  const of = await openLeaseStream(t, 'lease-zombie', SHORT_SESSION)
  const [zombie, successor] = await Promise.all([
    start(t, of, 'transactions'),
    start(t, of, 'transactions'),
  ])
  const isCaught = (): boolean =>
    bookOf(of.outputs.alerts).faults.some((fault) => fault.startsWith('release (expired)'))
  for (let round = 0; round < CONTROL_ROUNDS_MAX && !isCaught(); round += 1) {
    await releaseTwice(of, [zombie, successor], round * 2 * LEASE_MS, NOTICED_MS)
  }
  ok(isCaught(), 'the control has found no second release')
})
