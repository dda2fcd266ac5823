// Goal: a batch whose late transactions need more values than one read allows is split so that each part fits, and
// nothing is lost or applied twice.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import { REVISABLE_MAX } from '../../../../services/core/features/state/card-limits.ts'
import { CardHistory } from '../../../../services/core/features/state/card-history.ts'
import { PAGE_OFFSETS, pageOf } from '../../../../services/core/features/state/message-page.ts'
import { partitionOfText } from '../../../../services/core/murmur2.ts'
import { hashOf } from '../../../../services/core/id-hash.ts'
import {
  frontierAfter,
  frontierTakenAfter,
  type Cut,
} from '../../../../services/scorer/batch/split-batch.ts'
import type { PartitionEntry } from '../../../../services/scorer/batch/fold-batch.ts'
import { RecordQueue, type Taken } from '../../../../services/scorer/intake/record-queue.ts'
import { readByLate } from '../../../../services/scorer/batch/read-set.ts'
import { holds } from '../../../support/property.ts'
import { PLAIN_EVENT } from '../../core/features/plain-event.ts'
import { minimalLabel, minimalTransaction } from '../../core/wire/samples.ts'
import { codecs } from '../../core/wire/wire-fixture.ts'

const NOW_MS = minimalTransaction.eventTimeMs + 1_000
const FIRST_OFFSET = 7
const MESSAGES = ['transaction', 'watermark', 'junk'] as const
type Message = (typeof MESSAGES)[number]

const options = {
  ...{ partitionCount: 4, partition: partitionOfText(minimalTransaction.card, 4) },
  ...{ transactionsTopic: 'transactions', labelsTopic: 'labels', codecs, rates: DEFAULT_RATES },
  missingRate: 'dead_letter' as const,
  ...{ batchSizeMax: 100, alignment: 'live' as const, eventAheadMsMax: 60_000, hmacKey: 'key' },
}

/** The queue's output for these messages, with a valid and an invalid label. */
function takenOf(kinds: readonly Message[]): Taken {
  const inbox = new RecordQueue(options, FIRST_OFFSET, 3)
  const message = (value: Buffer, offset: number) => ({
    ...{ key: null, value, offset, timestampMs: NOW_MS + offset, headers: undefined },
    refused: null,
  })
  const valueOf = (kind: Message, index: number): Buffer => {
    if (kind === 'junk') return Buffer.from('junk')
    if (kind === 'watermark') return codecs.watermark.encode({ timeMs: NOW_MS })
    return codecs.transaction.encode({ ...minimalTransaction, id: `tx-${index}` })
  }
  inbox.push(
    'transactions',
    kinds.map((kind, index) => message(valueOf(kind, index), FIRST_OFFSET + index)),
  )
  inbox.push('labels', [message(codecs.label.encode(minimalLabel), 3), message(Buffer.of(1), 4)])
  const taken = inbox.take(NOW_MS, -1, () => true)
  assert.ok(taken !== null)
  return taken
}

test('the parts of a batch that is cut are the batch, in order, with labels in the first one', () => {
  const kinds = fc.array(fc.constantFrom(...MESSAGES), { maxLength: 20 })
  holds(
    200,
    fc.property(kinds, fc.nat({ max: 21 }), (messages, entryCount) => {
      const taken = takenOf(messages)
      const [first, rest] = frontierTakenAfter(taken, entryCount)
      if (entryCount >= taken.entries.length) {
        assert.equal(rest, null)
        assert.deepEqual(first, taken)
        return
      }
      assert.ok(rest !== null)
      assert.equal(first.entries.length, entryCount)
      assert.deepEqual([...first.entries, ...rest.entries], taken.entries)
      assert.deepEqual([first.labels, rest.labels], [taken.labels, []])
      assert.deepEqual(
        new Set([...first.rejected, ...rest.rejected]),
        new Set(taken.rejected),
        'a rejected message is gone, or there twice',
      )
      // The first part commits exactly what lies before the second.
      assert.deepEqual(
        [first.firstOffset, first.nextOffset, rest.firstOffset, rest.nextOffset],
        [taken.firstOffset, rest.entries[0]?.offset, first.nextOffset, taken.nextOffset],
      )
      assert.deepEqual(
        [first.labelNextOffset, rest.labelNextOffset],
        [taken.labelNextOffset, taken.labelNextOffset],
      )
      for (const part of [first, rest]) {
        const letters = part.rejected.filter(({ topic }) => topic === 'transactions')
        for (const { offset } of [...part.entries, ...letters.map(({ letter }) => letter)]) {
          assert.ok(offset >= part.firstOffset && offset < part.nextOffset, `${offset}`)
        }
      }
      assert.ok(rest.rejected.every(({ topic }) => topic === 'transactions'))
      const waiting = rest.entries.find(({ kind }) => kind === 'transaction')
      const expectedMs = waiting === undefined ? taken.oldestTimestampMs : NOW_MS + waiting.offset
      assert.equal(rest.oldestTimestampMs, expectedMs)
    }),
  )
})

type Part = Pick<Taken, 'entries' | 'labels' | 'nextOffset'>

/** A card with this many payments, one second and one page of messages apart, each at another merchant and device. */
function cardOf(count: number): CardHistory {
  const history = new CardHistory()
  for (let index = 0; index < count; index += 1) {
    const timeMs = PLAIN_EVENT.timeMs + 1_000 * index
    const of = { idHash: 10 + index, merchantHash: 1_000 + index, deviceHash: 2_000 + index }
    history.insert({ ...PLAIN_EVENT, ...of, timeMs, offset: PAGE_OFFSETS * index }, false)
  }
  return history
}

test('what late transactions of one part look at stays within the bound, and within one more transaction', () => {
  const cards = new Map([1, 20, 100].map((count) => [`card-${count}`, cardOf(count)]))
  const state = { peekCard: (card: string) => cards.get(card) ?? null }
  const newestMs = PLAIN_EVENT.timeMs + 100_000
  const payment = fc.record({
    card: fc.constantFrom('card-1', 'card-20', 'card-100', 'card-new'),
    atS: fc.nat({ max: 110 }),
  })
  const valuesMost = 3 * REVISABLE_MAX
  holds(
    200,
    fc.property(
      fc.array(payment, { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 3 * valuesMost }),
      fc.boolean(),
      (payments, valuesMax, withEntities) => {
        const entries = payments.map(({ card, atS }, index): PartitionEntry => {
          const eventTimeMs = PLAIN_EVENT.timeMs + 1_000 * atS + 1
          const transaction = { ...minimalTransaction, id: `tx-${index}`, card, eventTimeMs }
          return { kind: 'transaction', offset: 100_000 + index, timestampMs: 0, transaction }
        })
        const seen: number[] = []
        let left: Part | null = { entries, labels: [], nextOffset: 200_000 }
        while (left !== null) {
          const late = readByLate(left, state, newestMs, { valuesMax, withEntities })
          const [part, rest]: Cut<Part> = frontierAfter(
            left,
            late?.entryCount ?? left.entries.length,
          )
          assert.ok(part.entries.length > 0, 'a part is empty')
          const { entities = [], messages = [] } = late ?? {}
          const pages = new Set(messages.map(({ offset }) => pageOf(offset)))
          assert.ok(entities.length + pages.size < valuesMax + valuesMost)
          assert.ok(withEntities || entities.length === 0)
          // Everything that the part needs, whatever follows it.
          const needed = readByLate(part, state, newestMs, {
            valuesMax: Infinity,
            withEntities,
          })
          assert.deepEqual(late, needed)
          seen.push(...part.entries.map(({ offset }) => offset))
          left = rest
        }
        assert.deepEqual(
          seen,
          entries.map(({ offset }) => offset),
        )
      },
    ),
  )
  assert.ok(hashOf('tx-0') > 3_000, 'a payment would be taken for one that is held')
})
