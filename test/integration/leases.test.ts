// Goal: on a real stream blocks stay below the caps whatever the model scores, and each ends once, for its own reason:
// time, a label, or a person.
// Method: scorers as processes with a model that would block everything, `sluice` as an operator runs it, real topics,
// outputs read committed.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { partitionOfText } from '../../services/core/murmur2.ts'
import type { Label, Transaction } from '../../services/core/transaction.ts'
import type { Alert } from '../../services/core/wire/records.ts'
import { BLOCK_ALL, draftVariantOf, temporaryFolder } from '../support/model-variants.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import { eventually } from '../support/poll.ts'
import { startScorer } from '../support/scorer-process.ts'
import { runSluice } from '../support/sluice-command.ts'
import {
  openStream,
  PARTITION_COUNT,
  simulatedEvents,
  type TestStream,
} from '../support/streams.ts'

const LEASE_MS = 60_000

interface Setup {
  readonly stream: TestStream
  readonly outputs: Outputs
  readonly environment: Record<string, string>
}

async function setUp(
  t: TestContext,
  name: string,
  more: Readonly<Record<string, string>> = {},
): Promise<Setup> {
  const stream = await openStream(t, name)
  const environment = stream.patientEnvironment({
    SLUICE_MODE: 'enforce',
    SLUICE_MODEL: draftVariantOf(t, 'block-all', BLOCK_ALL).folder,
    SLUICE_MODEL_STORE: temporaryFolder(t, 'store'),
    SLUICE_LEASE_MS: String(LEASE_MS),
    SLUICE_LEASE_GRACE_MS: '100',
    ...more,
  })
  return { stream, outputs: followOutputs(t, stream), environment }
}

/** Simulated transactions, in order, on which those of the tests are based. */
async function patterns(): Promise<readonly Transaction[]> {
  const events = await simulatedEvents(200)
  return events.flatMap((event) => (event.kind === 'transaction' ? [event.transaction] : []))
}

function paid(pattern: Transaction, id: string, card: string, eventTimeMs: number): Transaction {
  return { ...pattern, id, card, eventTimeMs }
}

/** Sends as a producer does now: an idle partition's clock depends on the send times. */
async function send(stream: TestStream, transactions: readonly Transaction[]) {
  for (let partition = 0; partition < PARTITION_COUNT; partition += 1) {
    const messages = transactions
      .filter(({ card }) => partitionOfText(card, PARTITION_COUNT) === partition)
      .map((transaction) => ({
        key: transaction.card,
        value: stream.codecs.transaction.encode(transaction),
        timestamp: String(Date.now()),
      }))
    if (messages.length > 0) await stream.sendRaw('transactions', partition, messages)
  }
}

async function sendLabel(
  stream: TestStream,
  transaction: Transaction,
  verdict: Label['verdict'],
  knownInMs = 0,
) {
  const { id: transactionId, card, eventTimeMs } = transaction
  const knownAtMs = eventTimeMs + knownInMs
  const { merchant, terminal, device, ipNetwork } = transaction
  const value = stream.codecs.label.encode({
    ...{ transactionId, card, eventTimeMs, knownAtMs, verdict, source: 'analyst' },
    ...{ merchant, terminal, device, ipNetwork },
  })
  await stream.sendRaw('labels', partitionOfText(card, PARTITION_COUNT), [{ key: card, value }])
}

/** Cards of one partition. */
function cardsOfPartition(partition: number): readonly [string, string] {
  const cards = Array.from({ length: 100 }, (_, index) => `leased-${index}`)
  const [first, second] = cards.filter(
    (card) => partitionOfText(card, PARTITION_COUNT) === partition,
  )
  return [first ?? '', second ?? '']
}

function words(alerts: readonly Alert[]) {
  return alerts.map(({ action, cause, revision }) => `${action} ${cause ?? 'first'} ${revision}`)
}

test('a model that would block everything stays below the caps until a person resets the breaker', async (t) => {
  const { stream, outputs, environment } = await setUp(t, 'breaker', {
    SLUICE_BREAKER_BLOCKS_PER_MINUTE: String(2 * PARTITION_COUNT),
  })
  const [pattern] = await patterns()
  if (pattern === undefined) throw new Error('The simulator made nothing.')
  // Three a second, for a minute and a half.
  const burst = Array.from({ length: 300 }, (_, index) =>
    paid(pattern, `p${index}`, `hit-${index % 150}`, pattern.eventTimeMs + index * 333),
  )
  const scorer = await startScorer(t, environment)
  await send(stream, burst)
  await outputs.readToEnd()
  const firsts = outputs.alerts.filter(({ revision }) => revision === 0)
  const blocks = firsts.filter(({ action }) => action === 'block')
  ok(blocks.length > 0, 'nothing was blocked at all')
  strictEqual(firsts.length, burst.length)
  for (const { eventTimeMs: endMs } of blocks) {
    const within = blocks.filter(
      ({ eventTimeMs }) => eventTimeMs <= endMs && eventTimeMs > endMs - 60_000,
    )
    ok(within.length <= 2 * PARTITION_COUNT, `${within.length} blocks in a minute`)
  }
  const flags = firsts.filter(({ action }) => action === 'flag')
  ok(flags.length > 0)
  ok(flags.every(({ annotations }) => annotations.includes('breaker_open')))
  // A batch is counted after its commit is answered; a read-committed consumer may see it earlier.
  await eventually('all is counted', async () => {
    return (await scorer.metric('sluice_decisions_total')) === burst.length
  })
  const open = await scorer.metric('sluice_breakers_open')
  ok(open > 0)
  strictEqual(await scorer.metric('sluice_breaker_trips_total'), open)

  const shown = await runSluice(['breaker', 'status', '--json'], environment)
  strictEqual(shown.code, 0, shown.stderr)
  const status = JSON.parse(shown.stdout) as { readonly partitions: readonly { isOpen: boolean }[] }
  strictEqual(status.partitions.filter(({ isOpen }) => isOpen).length, open)
  const reset = await runSluice(
    ['breaker', 'reset', '--reason', 'a bad model', '--json'],
    environment,
  )
  strictEqual(reset.code, 0, reset.stderr)
  strictEqual((JSON.parse(reset.stdout) as { readonly resets: number }).resets, 1)
  const before = outputs.alerts.length
  await send(stream, [paid(pattern, 'later', 'hit-0', pattern.eventTimeMs + 600_000)])
  await outputs.until('a block after the reset', () =>
    outputs.alerts
      .slice(before)
      .some(({ action, revision }) => action === 'block' && revision === 0),
  )
})

test('a lease ends exactly once: by event time, by the clock of a quiet partition, or by a label', async (t) => {
  const { stream, outputs, environment } = await setUp(t, 'leases')
  const [pattern] = await patterns()
  if (pattern === undefined) throw new Error('The simulator made nothing.')
  const [first, second] = cardsOfPartition(1)
  const startMs = pattern.eventTimeMs
  const scorer = await startScorer(t, environment)
  const all = (card: string) => outputs.alerts.filter((alert) => alert.card === card)

  // Extended, and then over by event time as the other card pays.
  await send(stream, [
    paid(pattern, 'a1', first, startMs),
    paid(pattern, 'a2', first, startMs + 10_000),
  ])
  await outputs.until('the extension', () => all(first).length === 3)
  await send(stream, [paid(pattern, 'b1', second, startMs + 10_000 + LEASE_MS)])
  await outputs.until('the first release', () => all(first).length === 4)
  deepStrictEqual(words(all(first)), [
    'block first 0',
    'block first 0',
    'block extended 1',
    'release expired 2',
  ])
  // Only this message moves time, to half a second before the end of the other lease.
  await send(stream, [paid(pattern, 'a3', first, startMs + 10_000 + 2 * LEASE_MS - 500)])
  await outputs.until('the release of a quiet partition', () => all(second).length === 2)
  deepStrictEqual(words(all(second)), ['block first 0', 'release expired 1'])

  const labelled = paid(pattern, 'a3', first, startMs + 10_000 + 2 * LEASE_MS - 500)
  // The quiet partition's clock has advanced by more than this; its newest event is the payment itself.
  const knownInMs = 300
  await sendLabel(stream, labelled, 'fraud', knownInMs)
  await outputs.until('the confirmation', () => all(first).length === 6)
  deepStrictEqual(all(first)[5]?.lease, {
    grade: 'confirmed',
    startMs: labelled.eventTimeMs,
    endMs: labelled.eventTimeMs + knownInMs + LEASE_MS,
  })
  await sendLabel(stream, labelled, 'genuine')
  await outputs.until('the correction', () => all(first).length === 7)
  deepStrictEqual(words(all(first)).slice(4), [
    'block first 0',
    'block extended 1',
    'release correction 2',
  ])
  await outputs.until('the last tombstone', () => outputs.liveLeases.size === 0)
  await eventually('the metrics', async () => {
    return (await scorer.metric('sluice_leases_live')) === 0
  })
  strictEqual(await scorer.metric('sluice_leases_released_total', 'cause="expired"'), 2)
  strictEqual(await scorer.metric('sluice_leases_extended_total'), 2)

  // Decisions do not depend on leases.
  const replayed = await runSluice(['replay', '--all', '--json'], environment)
  strictEqual(replayed.code, 0, replayed.stderr)
  const { mismatched, decisions } = JSON.parse(replayed.stdout) as Record<string, number>
  deepStrictEqual([mismatched, decisions], [0, 4])
})

test('a person releases a card; a second release, or one of a card that is not blocked, is refused', async (t) => {
  const { stream, outputs, environment } = await setUp(t, 'release')
  const [pattern] = await patterns()
  if (pattern === undefined) throw new Error('The simulator made nothing.')
  const [card, other] = cardsOfPartition(2)
  await startScorer(t, environment)
  await send(stream, [
    paid(pattern, 'c1', card, pattern.eventTimeMs),
    paid(pattern, 'c2', other, pattern.eventTimeMs),
  ])
  await outputs.until('two leases', () => outputs.liveLeases.size === 2)
  const release = (what: string) =>
    runSluice(['release', what, '--reason', 'the holder called', '--json'], environment)
  const byCard = await release(card)
  strictEqual(byCard.code, 0, byCard.stderr)
  await outputs.until('the release', () => outputs.alerts.length === 3)
  // A release finds the lease in this topic.
  await outputs.until('its tombstone', () => !outputs.liveLeases.has(card))
  const again = await release(card)
  strictEqual(again.code, 1)
  ok(again.stderr.includes('SLUICE_LEASE_NOT_FOUND'), again.stderr)
  const byAlert = await release(outputs.liveLeases.get(other)?.alertId ?? '')
  strictEqual(byAlert.code, 0, byAlert.stderr)
  await outputs.until('the other release', () => outputs.alerts.length === 4)
  await outputs.until('the tombstones', () => outputs.liveLeases.size === 0)
  deepStrictEqual(words(outputs.alerts).slice(2), ['release person 1', 'release person 1'])
})
