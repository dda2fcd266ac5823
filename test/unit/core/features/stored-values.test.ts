// What is stored of cards and entities: read back as written, never read when damaged, of one form however it came about.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { ByteWriter } from '../../../../services/core/features/state/bytes.ts'
import { CardHistory } from '../../../../services/core/features/state/card-history.ts'
import {
  CARD_LAYOUT,
  CARD_READERS,
  decodeCard,
  encodeCard,
  writeCardAddition,
} from '../../../../services/core/features/state/card-codec.ts'
import {
  decodeEntityPart,
  encodeEntityPart,
  ENTITY_READERS,
} from '../../../../services/core/features/state/entity-codec.ts'
import { EntityPart } from '../../../../services/core/features/state/entity-part.ts'
import {
  beginValue,
  finishPart,
  type LayoutReaders,
} from '../../../../services/core/features/state/sealed.ts'
import { PARTITION_START } from '../../../../services/core/features/engine/partition-fold.ts'
import {
  crowdedGapsMs,
  edgesMs,
  HOUR_MS,
  itemsOf,
  stepsOf,
} from '../../../support/feature-streams.ts'
import { foldEntries, openFold, PlainState } from '../../../support/fold-entries.ts'
import { normalCard, normalPart } from '../../../support/normal-state.ts'
import { holds } from '../../../support/property.ts'
import { logsOf } from '../../../support/stored-partitions.ts'
import { PLAIN_EVENT } from './plain-event.ts'

const writer = new ByteWriter()
const isCorrupt = (error: unknown): boolean => isSluiceError(error, 'SLUICE_STATE_CORRUPT')

/** States of one partition after a stream, compacted up to some offset. */
const states = fc
  .tuple(
    stepsOf({
      stepsMin: 20,
      stepsMax: 120,
      cards: 2,
      terminals: 1,
      gapsMs: fc.oneof({ weight: 4, arbitrary: crowdedGapsMs }, edgesMs),
      latesMs: fc.oneof({ weight: 8, arbitrary: fc.constant(0) }, fc.nat(12 * HOUR_MS), edgesMs),
    }),
    fc.nat(160),
    fc.nat(60),
  )
  .map(([steps, nextOffset, labelNextOffset]) => {
    const state = new PlainState()
    const [log] = logsOf(itemsOf(steps), 1, () => 0)
    if (log !== undefined) foldEntries(log.labels, log.entries, 0, openFold(PARTITION_START), state)
    for (const [index, card] of [...state.cards.values()].entries()) {
      for (let offset = 0; offset < 160; offset += 3) {
        card.setOutcome(offset, ((offset + index) % 4) as 0 | 1 | 2 | 3)
      }
      card.compact(nextOffset, 0)
    }
    for (const part of state.parts.values()) part.compact({ nextOffset, labelNextOffset })
    return state
  })

const sample = (): PlainState => {
  const [first] = fc.sample(states, { numRuns: 1, seed: 12 })
  return first ?? assert.fail('no sample')
}

test('a card is read back as it was written', () => {
  holds(
    60,
    fc.property(states, ({ cards }) => {
      for (const card of cards.values()) {
        const value = encodeCard(card, writer)
        const again = decodeCard(value)
        assert.deepEqual(encodeCard(again, writer), value)
        assert.equal(again.count, card.count)
        assert.deepEqual(normalCard(again), normalCard(card))
      }
    }),
  )
})

test('an entity is read back as it was written', () => {
  holds(
    60,
    fc.property(states, ({ parts }) => {
      for (const part of parts.values()) {
        const value = encodeEntityPart(part, writer)
        const again = decodeEntityPart(value)
        assert.equal(again.count, part.count)
        assert.deepEqual(again.labels, part.labels)
        assert.deepEqual(again.hourlyBuckets, part.hourlyBuckets)
        assert.deepEqual(normalPart(again), normalPart(part))
      }
    }),
  )
})

test('however a state was compacted on its way, its normal form is the same', () => {
  holds(
    60,
    fc.property(states, fc.array(fc.nat(160), { maxLength: 5 }), ({ cards, parts }, offsets) => {
      const stages = offsets.toSorted((a, b) => a - b)
      for (const card of cards.values()) {
        const value = encodeCard(card, writer)
        const slowly = decodeCard(value)
        for (const offset of stages) slowly.compact(offset, 0)
        assert.deepEqual(normalCard(slowly), normalCard(decodeCard(value)))
      }
      for (const part of parts.values()) {
        const value = encodeEntityPart(part, writer)
        const slowly = decodeEntityPart(value)
        for (const offset of stages) slowly.compact({ nextOffset: offset, labelNextOffset: offset })
        assert.deepEqual(normalPart(slowly), normalPart(decodeEntityPart(value)))
      }
    }),
  )
})

test('nothing stored is a card or an entity without history', () => {
  assert.equal(decodeCard(null).count, 0)
  assert.equal(decodeEntityPart(null).count, 0)
})

test('a damaged byte, a missing end or an added one is always noticed', () => {
  const { cards, parts } = sample()
  const [[, card] = []] = [...cards].toSorted(([, a], [, b]) => b.count - a.count)
  const [[, part] = []] = [...parts].toSorted(([, a], [, b]) => b.count - a.count)
  assert.ok(card !== undefined && part !== undefined && card.count > 5 && part.labels.length > 0)
  const values = [
    [encodeCard(card, writer), decodeCard] as const,
    [encodeEntityPart(part, writer), decodeEntityPart] as const,
    [encodeCard(new CardHistory(), writer), decodeCard] as const,
    [encodeEntityPart(new EntityPart(), writer), decodeEntityPart] as const,
  ]
  for (const [value, decode] of values) {
    for (let index = 0; index < value.length; index += 1) {
      for (const mask of [0x01, 0x02, 0x80, 0xff]) {
        const damaged = Buffer.from(value)
        damaged[index] = (damaged[index] ?? 0) ^ mask
        assert.throws(() => decode(damaged), isCorrupt, `byte ${index} xor ${mask}`)
      }
      assert.throws(() => decode(value.subarray(0, index)), isCorrupt, `${index} bytes`)
    }
    assert.throws(() => decode(Buffer.concat([value, Buffer.from([0])])), isCorrupt)
    decode(value)
  }
})

test('a layout that this build does not know is corruption, and no empty history', () => {
  for (const layout of [0, 2, 5, 255]) {
    for (const [value, decode] of [
      [encodeCard(new CardHistory(), writer), decodeCard],
      [encodeEntityPart(new EntityPart(), writer), decodeEntityPart],
    ] as const) {
      value[0] = layout
      assert.throws(
        () => decode(value),
        (error) => isCorrupt(error) && String(error).includes(`layout ${layout}`),
      )
    }
  }
})

/** A layout that no build has: the number of payments, all alike. */
const INVENTED = 9

function inventedCard(count: number): Buffer {
  beginValue(writer, INVENTED)
  writer.varint(count)
  finishPart(writer, 1, INVENTED)
  return writer.take()
}

const cardReaders: LayoutReaders<CardHistory> = new Map([
  ...CARD_READERS,
  [
    INVENTED,
    ([reader]) => {
      const card = new CardHistory()
      for (let left = reader?.varint() ?? 0; left > 0; left -= 1) card.insert(PLAIN_EVENT, false)
      return card
    },
  ],
])

test('a build that reads a second layout reads both, and writes the one that others read', () => {
  const [stored] = [...sample().cards.values()].map((card) => encodeCard(card, writer))
  assert.ok(stored !== undefined)
  assert.deepEqual(normalCard(decodeCard(stored, cardReaders)), normalCard(decodeCard(stored)))
  const invented = decodeCard(inventedCard(3), cardReaders)
  assert.equal(invented.count, 3)
  invented.insert(PLAIN_EVENT, false)
  assert.equal(
    writeCardAddition(invented, writer, 0),
    null,
    'nothing is appended to another layout',
  )
  const value = encodeCard(invented, writer)
  assert.equal(value[0], CARD_LAYOUT)
  assert.equal(decodeCard(value).count, 4)
})

test('a build that does not read the second layout names the fault, and damage to it is noticed by one that does', () => {
  assert.throws(() => decodeCard(inventedCard(3)), isCorrupt)
  const damaged = inventedCard(3)
  damaged[damaged.length - 1] = 2
  assert.throws(() => decodeCard(damaged, cardReaders), isCorrupt)
  const readers = new Map([...ENTITY_READERS, [INVENTED, () => new EntityPart()]])
  assert.equal(decodeEntityPart(inventedCard(3), readers).count, 0)
  assert.throws(() => decodeEntityPart(inventedCard(3)), isCorrupt)
})
