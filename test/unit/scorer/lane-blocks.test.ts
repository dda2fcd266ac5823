// Goal: a lease is opened once, grows by new evidence, and ends once, whatever happens in between.
// Method: random lives of a few cards, with batches and crashes between any two steps, from what was committed; against
// the same life in one piece, and against what must hold of any log of alerts.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LeaseReading } from '../../../services/core/decision/lease-reading.ts'
import { alertRevisionOf, type HeldLease } from '../../../services/core/decision/leases.ts'
import type { Label } from '../../../services/core/transaction.ts'
import type { Alert } from '../../../services/core/wire/records.ts'
import { LaneBlocks } from '../../../services/scorer/lane-blocks.ts'
import { encodeBlocks } from '../../../services/scorer/blocks-output.ts'
import { holds } from '../../support/property.ts'
import { fullAlert, fullLease } from '../core/wire/samples.ts'
import { codecs } from '../core/wire/wire-fixture.ts'
import { DECIDE_BY_AMOUNT } from './decide-by-amount.ts'

const START_MS = 1_700_000_000_000
const LEASE_MS = 10_000
const LEASES_MAX = 2
const CARDS = ['card-a', 'card-b', 'card-c']

type Step =
  | {
      readonly kind: 'block'
      readonly card: string
      readonly atMs: number
      readonly lateMs: number
    }
  | { readonly kind: 'fraud' | 'genuine'; readonly card: string; readonly knownInMs: number }
  | {
      readonly kind: 'revise'
      readonly card: string
      readonly action: 'block' | 'flag' | 'release'
    }
  | { readonly kind: 'person' | 'clock'; readonly card: string }

/** What a lane has written, as a reader that comes later finds it. */
class Log {
  readonly alerts: Alert[] = []
  readonly leases: { readonly key: Buffer; readonly value: Buffer | null }[] = []
  kept: string | null = null
  newestEventMs = -1

  commit(blocks: LaneBlocks, newestEventMs: number): void {
    const { published, leases, kept } = blocks.take(DECIDE_BY_AMOUNT)
    const encoded = encodeBlocks(published, leases, 0, codecs, () => ({}))
    for (const { value } of encoded.alerts) {
      const read = codecs.alert.decode(value)
      if (read.ok) this.alerts.push(read.value)
    }
    for (const { key, value } of encoded.leases) this.leases.push({ key: Buffer.from(key), value })
    this.kept = kept
    this.newestEventMs = newestEventMs
  }

  open(): LaneBlocks {
    const reading = new LeaseReading(codecs)
    for (const { key, value } of this.leases) reading.accept(key, value)
    strictEqual(reading.unreadable, 0)
    const { kept, newestEventMs } = this
    return new LaneBlocks({ leases: reading.live, kept, newestEventMs, leasesMax: LEASES_MAX })
  }
}

/** Plays a life. Steps carry all that they need, so that a step that is lost can be played again. */
class Life {
  readonly log = new Log()
  #blocks = this.log.open()
  #timeMs = START_MS
  #newestMs = -1
  #committedTimeMs = START_MS
  #nextOffset = 0
  #since: (() => void)[] = []

  play(step: Step): void {
    const doing = this.#prepare(step)
    this.#since.push(doing)
    doing()
  }

  commit(): void {
    this.log.commit(this.#blocks, this.#newestMs)
    this.#committedTimeMs = this.#timeMs
    this.#since = []
  }

  /** All since the last commit is lost, and done again by the next owner. */
  crash(): void {
    this.#blocks = this.log.open()
    this.#timeMs = this.#committedTimeMs
    this.#newestMs = this.log.newestEventMs
    for (const doing of this.#since) doing()
  }

  table(): readonly string[] {
    return [...this.#blocks.leased].map(({ card, alertId }) => `${card} ${alertId}`).sort()
  }

  #lease(card: string): string {
    return [...this.#blocks.leased].find((lease) => lease.card === card)?.alertId ?? 'none'
  }

  #prepare(step: Step): () => void {
    const offset = this.#nextOffset
    this.#nextOffset += 1
    switch (step.kind) {
      case 'block':
        return () => {
          this.#timeMs += step.atMs
          const eventTimeMs = this.#timeMs - step.lateMs
          this.#newestMs = Math.max(this.#newestMs, eventTimeMs)
          this.#blocks.advance(eventTimeMs, this.#timeMs + 500, this.#timeMs)
          const alert = blockOf(step.card, offset, eventTimeMs)
          this.#blocks.publish({ ...alert, decidedAtMs: this.#newestMs }, this.#timeMs)
        }
      case 'fraud':
      case 'genuine':
        return () => {
          const knownAtMs = this.#timeMs + step.knownInMs
          this.#blocks.label(labelOf(step.card, this.#lease(step.card), step.kind, knownAtMs), 1)
        }
      case 'revise':
        return () => {
          const alertId = this.#lease(step.card)
          if (alertId === 'none') return
          const alert = { ...blockOf(step.card, offset, this.#timeMs), alertId }
          const revision = alertRevisionOf(offset + 1)
          const lease = step.action === 'block' ? alert.lease : null
          const revised = { ...alert, revision, supersedes: 0, cause: 'late_transaction' as const }
          this.#blocks.revise({ ...revised, action: step.action, lease }, this.#timeMs)
        }
      case 'person':
        return () => {
          this.#blocks.releaseByPerson(step.card, this.#lease(step.card), 1)
        }
      case 'clock':
        return () => {
          this.#blocks.endByClock(this.#timeMs + 500 + LEASE_MS, 1_000)
        }
    }
  }
}

function blockOf(card: string, offset: number, eventTimeMs: number): Alert {
  return {
    ...fullAlert,
    card,
    alertId: `alert-${offset}`,
    transactionId: `alert-${offset}`,
    revision: 0,
    supersedes: null,
    cause: null,
    action: 'block',
    eventTimeMs,
    lease: { grade: 'suspected', startMs: eventTimeMs, endMs: eventTimeMs + LEASE_MS },
  }
}

function labelOf(
  card: string,
  transactionId: string,
  verdict: 'fraud' | 'genuine',
  knownAtMs: number,
): Label {
  const places = { merchant: null, terminal: null, device: null, ipNetwork: null }
  return { transactionId, card, eventTimeMs: 0, knownAtMs, verdict, source: 'analyst', ...places }
}

const card = fc.constantFrom(...CARDS)
const stepMade: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('block' as const),
      card,
      atMs: fc.constantFrom(0, 1, 500, 4_000, LEASE_MS - 1, LEASE_MS, LEASE_MS + 1),
      lateMs: fc.constantFrom(0, 0, 0, 3_000, LEASE_MS, 2 * LEASE_MS),
    }),
  },
  fc.record({
    kind: fc.constantFrom('fraud' as const, 'genuine' as const),
    card,
    knownInMs: fc.constantFrom(-1, 0, 5_000),
  }),
  fc.record({
    kind: fc.constant('revise' as const),
    card,
    action: fc.constantFrom('block' as const, 'flag' as const, 'release' as const),
  }),
  fc.record({ kind: fc.constantFrom('person' as const, 'clock' as const), card }),
)
const life = fc.array(stepMade, { maxLength: 60 })
const breaks = fc.array(fc.record({ at: fc.nat(59), isCrash: fc.boolean() }), { maxLength: 30 })

function played(
  steps: readonly Step[],
  stops: readonly { readonly at: number; readonly isCrash: boolean }[],
): Life {
  const lived = new Life()
  for (const [index, step] of steps.entries()) {
    lived.play(step)
    for (const { isCrash } of stops.filter(({ at }) => at === index)) {
      if (isCrash) lived.crash()
      else lived.commit()
    }
  }
  lived.commit()
  return lived
}

test('batches and crashes anywhere leave the same alerts, in the same order, and the same table', () => {
  holds(
    300,
    fc.property(life, breaks, (steps, stops) => {
      const whole = played(steps, [])
      const broken = played(steps, stops)
      deepStrictEqual(broken.log.alerts, whole.log.alerts)
      deepStrictEqual(broken.table(), whole.table())
      // And the topic says what the table says.
      deepStrictEqual(
        [...broken.log.open().leased].map((lease) => `${lease.card} ${lease.alertId}`).sort(),
        whole.table(),
      )
    }),
  )
})

test('revisions of an alert strictly count up, each names the one before, and no lease ends twice', () => {
  holds(
    300,
    fc.property(life, breaks, (steps, stops) => {
      const { log } = played(steps, stops)
      const last = new Map<string, Alert>()
      for (const alert of log.alerts) {
        const before = last.get(alert.alertId)
        last.set(alert.alertId, alert)
        if (before === undefined) continue
        ok(alert.revision > before.revision, `${before.revision}, then ${alert.revision}`)
        strictEqual(alert.supersedes, before.revision)
        ok(before.action === 'block' || alert.cause === 'late_transaction', 'ended before')
        if (alert.cause !== 'extended') continue
        ok((alert.lease?.endMs ?? 0) >= (before.lease?.endMs ?? 0), 'an end came nearer')
      }
    }),
  )
})

test('no block is forgotten: once time has passed, each has been released or was part of a lease that was', () => {
  holds(
    300,
    fc.property(life, breaks, (steps, stops) => {
      const lived = played(steps, stops)
      lived.play({ kind: 'block', card: 'card-z', atMs: 100 * LEASE_MS, lateMs: 0 })
      lived.commit()
      deepStrictEqual(
        lived.table().map((entry) => entry.split(' ')[0]),
        ['card-z'],
      )
      const live = new Set<string>()
      for (const { alertId, action, revision, lease } of lived.log.alerts) {
        if (action !== 'block') live.delete(alertId)
        else if (revision > 0 || lease?.grade === 'suspected') live.add(alertId)
      }
      for (const alertId of live) {
        // A late block whose time was over before it came is never held.
        const own = lived.log.alerts.find((alert) => alert.alertId === alertId)
        const isOver = (own?.lease?.endMs ?? 0) <= (own?.decidedAtMs ?? 0)
        ok(own?.card === 'card-z' || isOver, `${alertId} is held for ever`)
      }
    }),
  )
})

/** Plays what is given and returns action, cause, revision and end of each alert. */
function story(...steps: readonly Step[]) {
  return played(steps, []).log.alerts.map(({ action, cause, revision, lease }) => [
    ...[action, cause, revision],
    ...(lease === null ? [] : [lease.grade, lease.endMs - START_MS]),
  ])
}

const block = (of: string, atMs: number): Step => ({ kind: 'block', card: of, atMs, lateMs: 0 })
const label = (kind: 'fraud' | 'genuine', knownInMs = 0): Step => ({
  kind,
  card: 'card-a',
  knownInMs,
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

test('an idle lane ends a lease by the clock, in the time of the stream, a grace later', () => {
  // The stream is sent a year after it happened.
  const yearMs = 31_536_000_000
  const blocks = new Log().open()
  blocks.advance(START_MS, START_MS + yearMs, 1)
  blocks.publish(blockOf('card-a', 1, START_MS), 1)
  blocks.endByClock(START_MS + yearMs + LEASE_MS + 999, 1_000)
  strictEqual(blocks.liveCount, 1)
  blocks.endByClock(START_MS + yearMs + LEASE_MS + 1_000, 1_000)
  strictEqual(blocks.liveCount, 0)
})

test('a lane that restarts remembers how far the stream is behind the clock', () => {
  const log = new Log()
  const blocks = log.open()
  blocks.advance(START_MS, START_MS + 1_000_000, 1)
  blocks.publish(blockOf('card-a', 1, START_MS), 1)
  log.commit(blocks, START_MS)
  const after = log.open()
  after.endByClock(START_MS + 1_000_000, 100)
  strictEqual(after.liveCount, 1)
})

test('a record of version 1 ends without a word, and one that is no lease is counted', () => {
  const held: HeldLease = { ...fullLease, alert: null, releaseAtMs: null }
  const blocks = new LaneBlocks({ leases: [held], kept: null, newestEventMs: 0, leasesMax: 1 })
  blocks.advance(held.endMs, held.endMs, 1)
  const { published, leases } = blocks.take(DECIDE_BY_AMOUNT)
  deepStrictEqual([published, [...leases]], [[], [[held.card, null]]])
  const reading = new LeaseReading(codecs)
  reading.accept(Buffer.from('card-a'), Buffer.from('nonsense'))
  deepStrictEqual([reading.live, reading.unreadable], [[], 1])
})

test('beyond the leases that a lane may hold a block becomes a flag; a card that is held goes on', () => {
  const blocks = new LaneBlocks({ leases: [], kept: null, newestEventMs: 0, leasesMax: 1 })
  const settle = (of: string) =>
    blocks.settle(
      {
        ...{ transactionId: 't', card: of, amountMinor: 1, isRevision: false },
        ruling: { outcome: 'block', mode: 'enforce', segment: null, rules: [] },
      },
      DECIDE_BY_AMOUNT,
    )
  strictEqual(settle('card-a').outcome, 'block')
  blocks.publish(blockOf('card-a', 1, START_MS), 1)
  deepStrictEqual(settle('card-b'), { outcome: 'flag', mark: 'leases_full' })
  strictEqual(settle('card-a').outcome, 'block')
})
