// Goal: every change of a lease is published as the contract requires (docs/leases.md).

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { LeaseReader } from '../../../services/core/decision/leases.ts'
import { PartitionBlocks } from '../../../services/scorer/publish/partition-blocks.ts'
import { fullAlert, fullLease } from '../core/wire/samples.ts'
import { codecs } from '../core/wire/wire-fixture.ts'
import { DECIDE_BY_AMOUNT } from './decide-by-amount.ts'
import { blockOf, labelOf, LEASE_MS, Log, played, START_MS, type Step } from './partition-life.ts'

/** Plays the steps and returns action, cause, revision and end of each alert. */
function story(...steps: readonly Step[]) {
  return played(steps, []).log.alerts.map(({ action, cause, revision, lease }) => [
    ...[action, cause, revision],
    ...(lease === null ? [] : [lease.grade, lease.endMs - START_MS]),
  ])
}

const block = (of: string, atMs: number): Step => ({ kind: 'block', card: of, atMs, lateMs: 0 })
const label = (kind: 'fraud' | 'genuine', knownInMs = 0, isOfOther = false): Step => ({
  kind,
  card: 'card-a',
  knownInMs,
  isOfOther,
})

test('a second block of the card extends the lease of the first, and carries its end', () => {
  deepStrictEqual(story(block('card-a', 0), block('card-a', 4_000)), [
    ['block', null, 0, 'suspected', 10_000],
    ['block', null, 0, 'corroborated', 14_000],
    ['block', 'extended', 1, 'corroborated', 14_000],
  ])
})

test('a lease ends with event time, and the next block of the card opens another', () => {
  deepStrictEqual(story(block('card-a', 0), block('card-a', LEASE_MS)), [
    ['block', null, 0, 'suspected', 10_000],
    ['release', 'expired', 1],
    ['block', null, 0, 'suspected', 20_000],
  ])
})

test('a fraud label confirms a lease, and a genuine one after it is a correction', () => {
  deepStrictEqual(story(block('card-a', 0), label('fraud'), label('genuine')), [
    ['block', null, 0, 'suspected', 10_000],
    ['block', 'extended', 1, 'confirmed', 10_000],
    ['release', 'correction', 2],
  ])
})

test('a fraud label holds the card for the length of a lease from when it was known, and not beyond', () => {
  const later = block('card-b', 6_000)
  const confirmed = ['block', 'extended', 1, 'confirmed', 16_000]
  deepStrictEqual(story(block('card-a', 0), later, label('fraud'))[2], confirmed)
  // Repeated, or known only in the future: the end stays.
  deepStrictEqual(story(block('card-a', 0), later, label('fraud'), label('fraud')).length, 3)
  deepStrictEqual(story(block('card-a', 0), later, label('fraud', 9_999))[2], confirmed)
  // Known before the block was extended: the end stays.
  deepStrictEqual(story(block('card-a', 0), later, label('fraud', -6_000))[2], [
    ...['block', 'extended', 1, 'confirmed', 10_000],
  ])
})

test('a fraud label on another payment of a blocked card extends the lease; a genuine one says nothing', () => {
  const later = block('card-b', 6_000)
  deepStrictEqual(story(block('card-a', 0), later, label('fraud', 0, true))[2], [
    ...['block', 'extended', 1, 'corroborated', 16_000],
  ])
  deepStrictEqual(story(block('card-a', 0), later, label('genuine', 0, true)).length, 2)
  // It confirms nothing, so the genuine label is no correction.
  deepStrictEqual(story(block('card-a', 0), label('fraud', 0, true), label('genuine'))[2], [
    ...['release', 'genuine_label', 2],
  ])
})

test('in a quiet partition a fraud label counts from when it was known by the clock, in the time of the stream', () => {
  const yearMs = 31_536_000_000
  const blocks = new Log().open()
  blocks.advance(START_MS, START_MS + yearMs, 1)
  blocks.publish(blockOf('card-a', 1, START_MS), 1)
  const fraud = labelOf('card-a', 'alert-1', 'fraud', START_MS + 8_000)
  blocks.label(fraud, LEASE_MS, START_MS + yearMs + 9_000)
  const { published } = blocks.take(DECIDE_BY_AMOUNT)
  strictEqual(published.at(-1)?.lease?.endMs, START_MS + 8_000 + LEASE_MS)
})

test('a genuine label releases, from its known-at time on, and a fraud label before that takes it back', () => {
  deepStrictEqual(story(block('card-a', 0), label('genuine')), [
    ['block', null, 0, 'suspected', 10_000],
    ['release', 'genuine_label', 1],
  ])
  const early = label('genuine', 5_000)
  deepStrictEqual(story(block('card-a', 0), early, block('card-b', 4_999)).length, 2)
  deepStrictEqual(story(block('card-a', 0), early, block('card-b', 5_000))[1], [
    ...['release', 'genuine_label', 1],
  ])
  deepStrictEqual(
    story(block('card-a', 0), early, label('fraud'), block('card-b', 5_000)).map(
      ([, cause]) => cause,
    ),
    [null, 'extended', null],
  )
})

test('a person releases once, and only the alert that was meant', () => {
  const blocks = new Log().open()
  blocks.advance(START_MS, START_MS, 1)
  blocks.publish(blockOf('card-a', 1, START_MS), 1)
  blocks.releaseByPerson('card-a', 'alert-0', 1)
  strictEqual(blocks.liveCount, 1)
  blocks.releaseByPerson('card-a', 'alert-1', 1)
  blocks.releaseByPerson('card-a', 'alert-1', 1)
  const { published, leases } = blocks.take(DECIDE_BY_AMOUNT)
  deepStrictEqual(
    published.map(({ cause }) => cause),
    [null, 'person'],
  )
  deepStrictEqual([...leases], [['card-a', null]])
})

test('an idle partition ends a lease by the clock, in the time of the stream, a grace later', () => {
  // The stream is sent a year after its events.
  const yearMs = 31_536_000_000
  const blocks = new Log().open()
  blocks.advance(START_MS, START_MS + yearMs, 1)
  blocks.publish(blockOf('card-a', 1, START_MS), 1)
  blocks.endByClock(START_MS + yearMs + LEASE_MS + 999, 1_000)
  strictEqual(blocks.liveCount, 1)
  blocks.endByClock(START_MS + yearMs + LEASE_MS + 1_000, 1_000)
  strictEqual(blocks.liveCount, 0)
})

test('a partition that restarts remembers how far the stream is behind the clock', () => {
  const log = new Log()
  const blocks = log.open()
  blocks.advance(START_MS, START_MS + 1_000_000, 1)
  blocks.publish(blockOf('card-a', 1, START_MS), 1)
  log.commit(blocks, START_MS)
  const after = log.open()
  after.endByClock(START_MS + 1_000_000, 100)
  strictEqual(after.liveCount, 1)
})

test('a record that is no lease, or whose alert cannot be read, is counted and holds no card', () => {
  const reader = new LeaseReader(codecs)
  const accept = (card: string, value: Buffer) => {
    reader.accept(Buffer.from(card), value)
    return [reader.live.map((lease) => lease.card), reader.unreadable]
  }
  const alert = codecs.alert.encode(fullAlert)
  deepStrictEqual(accept('card-a', Buffer.from('nonsense')), [[], 1])
  deepStrictEqual(accept('card-a', codecs.lease.encode(fullLease)), [[], 2])
  deepStrictEqual(accept('card-a', codecs.lease.encode({ ...fullLease, alert })), [['card-a'], 2])
  deepStrictEqual(reader.live[0]?.alert, fullAlert)
})

test('beyond the leases that a partition may hold a block becomes a flag; a card that is held goes on', () => {
  const blocks = new PartitionBlocks({ leases: [], kept: null, newestEventMs: 0, leasesMax: 1 })
  const applyGuards = (of: string) =>
    blocks.applyGuards(
      {
        ...{ transactionId: 't', card: of, amountMinor: 1, isRevision: false },
        ruling: { outcome: 'block', mode: 'enforce', segment: null, rules: [] },
      },
      DECIDE_BY_AMOUNT,
    )
  strictEqual(applyGuards('card-a').outcome, 'block')
  blocks.publish(blockOf('card-a', 1, START_MS), 1)
  deepStrictEqual(applyGuards('card-b'), { outcome: 'flag', mark: 'leases_full' })
  strictEqual(applyGuards('card-a').outcome, 'block')
})
