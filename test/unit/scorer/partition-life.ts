// Lives of a few cards, for tests of a partition's block state: events, written records, and losses by a crash.

import { strictEqual } from 'node:assert/strict'
import fc from 'fast-check'
import { alertRevisionOf, LeaseReader } from '../../../services/core/decision/leases.ts'
import type { Label } from '../../../services/core/transaction.ts'
import type { Alert } from '../../../services/core/wire/records.ts'
import { encodeBlocks } from '../../../services/scorer/publish/blocks-output.ts'
import { PartitionBlocks } from '../../../services/scorer/publish/partition-blocks.ts'
import { fullAlert } from '../core/wire/samples.ts'
import { codecs } from '../core/wire/wire-fixture.ts'
import { DECIDE_BY_AMOUNT } from './decide-by-amount.ts'

export const START_MS = 1_700_000_000_000
export const LEASE_MS = 10_000
const LEASES_MAX = 2
const CARDS = ['card-a', 'card-b', 'card-c']

export type Step =
  | {
      readonly kind: 'block'
      readonly card: string
      readonly atMs: number
      readonly lateMs: number
    }
  | {
      readonly kind: 'fraud' | 'genuine'
      readonly card: string
      readonly knownInMs: number
      /** True for a label of another payment of the card than the blocked one. */
      readonly isOfOther: boolean
    }
  | {
      readonly kind: 'revise'
      readonly card: string
      readonly action: 'block' | 'flag' | 'release'
    }
  | { readonly kind: 'person' | 'clock'; readonly card: string }

const PLACE = { partition: 0, topics: { alerts: 'alerts', leases: 'leases' } }

/** The output of a partition, as a later reader finds it. */
export class Log {
  readonly alerts: Alert[] = []
  readonly leases: { readonly key: Buffer; readonly value: Buffer | null }[] = []
  kept: string | null = null
  newestEventMs = -1

  commit(blocks: PartitionBlocks, newestEventMs: number): void {
    const { published, leases, kept } = blocks.take(DECIDE_BY_AMOUNT)
    const encoded = encodeBlocks(published, leases, codecs, PLACE, () => ({}))
    for (const { value } of encoded.alerts) {
      const read = codecs.alert.decode(value ?? Buffer.alloc(0))
      if (read.ok) this.alerts.push(read.value)
    }
    for (const { key, value } of encoded.leases) {
      this.leases.push({ key: Buffer.from(String(key)), value })
    }
    this.kept = kept
    this.newestEventMs = newestEventMs
  }

  open(): PartitionBlocks {
    const reader = new LeaseReader(codecs)
    for (const { key, value } of this.leases) reader.accept(key, value)
    strictEqual(reader.unreadable, 0)
    const { kept, newestEventMs } = this
    return new PartitionBlocks({ leases: reader.live, kept, newestEventMs, leasesMax: LEASES_MAX })
  }
}

/** Plays a life. Steps are self-contained, so that a lost step can be played again. */
export class Life {
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

  /** Everything since the last commit is lost, and done again by the next owner. */
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
          const of = step.isOfOther ? 'another payment' : this.#lease(step.card)
          this.#blocks.label(labelOf(step.card, of, step.kind, knownAtMs), LEASE_MS, 1)
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

export function blockOf(card: string, offset: number, eventTimeMs: number): Alert {
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

export function labelOf(
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
    isOfOther: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('revise' as const),
    card,
    action: fc.constantFrom('block' as const, 'flag' as const, 'release' as const),
  }),
  fc.record({ kind: fc.constantFrom('person' as const, 'clock' as const), card }),
)
export const life = fc.array(stepMade, { maxLength: 60 })
export const breaks = fc.array(fc.record({ at: fc.nat(59), isCrash: fc.boolean() }), {
  maxLength: 30,
})

export function played(
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
