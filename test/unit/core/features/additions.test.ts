// Goal: a value to which only what is new was appended says what the card or entity holds. Method: random steps; after
// each the value is written as the partition store does it, read again, and compared in normal form with what is in memory.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { ByteWriter } from '../../../../services/core/features/state/bytes.ts'
import { decodeCard, encodeCard } from '../../../../services/core/features/state/card-codec.ts'
import type { CardEvent } from '../../../../services/core/features/state/card-event.ts'
import { CardHistory } from '../../../../services/core/features/state/card-history.ts'
import {
  decodeEntityPart,
  encodeEntityPart,
} from '../../../../services/core/features/state/entity-codec.ts'
import { EntityPart } from '../../../../services/core/features/state/entity-part.ts'
import { ADDED_BYTES_MAX } from '../../../../services/core/features/state/stored-form.ts'
import { DAY_MS } from '../../../../services/core/features/catalogue/time.ts'
import { encodeCardAddition, encodeEntityAddition } from '../../../support/additions.ts'
import { normalCard, normalPart } from '../../../support/normal-state.ts'
import { holds } from '../../../support/property.ts'
import { PLAIN_EVENT } from './plain-event.ts'

const START_MS = Date.UTC(2020, 0, 1)
const NARROW = { references: new Set<never>(), places: false, localTime: false }
/** What is so far back, and what came before, is committed. */
const BACK_MAX = 3
const writer = new ByteWriter()
const isCorrupt = (error: unknown): boolean => isSluiceError(error, 'SLUICE_STATE_CORRUPT')

const steps = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({ kind: fc.constant('event' as const), ms: fc.nat(DAY_MS) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant('late' as const), ms: fc.nat(2 * DAY_MS) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('outcome' as const), ms: fc.nat(5) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('cause' as const), ms: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('compact' as const), ms: fc.nat(9) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('forget' as const), ms: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('label' as const), ms: fc.nat(9) }) },
  ),
  { minLength: 20, maxLength: 150, size: 'max' },
)

interface Step {
  readonly kind: 'event' | 'late' | 'outcome' | 'cause' | 'compact' | 'forget' | 'label'
  readonly ms: number
}

const labelAt = (timeMs: number, offset: number, labelOffset: number) => ({
  ...{ timeMs, knownAtMs: timeMs + DAY_MS, idHash: offset + 1, labelOffset },
  isFraud: labelOffset % 3 > 0,
})

function eventAt(timeMs: number, offset: number): CardEvent {
  return {
    ...PLAIN_EVENT,
    ...{ timeMs, offset, amountMinor: 100 + (offset % 97), idHash: offset + 1 },
    ...{ merchantHash: 1 + (offset % 70), terminalHash: offset % 5, cardHash: 1 },
    ...{ intentHash: offset % 4 === 0 ? 1 + (offset % 11) : 0, hasPlace: offset % 9 === 8 },
    ...{ latitudeE4: offset % 9 === 8 ? 5_000 : 0, countryHash: offset % 3 },
  }
}

/** A value in a store: what was written whole last, and what was appended. */
class Stored {
  value = Buffer.alloc(0)
  wholes = 0
  additions = 0

  write(added: Buffer | null, whole: () => Buffer, lengthAfter: () => number): void {
    if (added === null) {
      this.value = Buffer.from(whole())
      this.wholes += 1
    } else {
      this.value = Buffer.concat([this.value, added])
      if (added.length > 0) this.additions += 1
    }
    assert.equal(this.value.length, lengthAfter())
  }
}

const writeCard = (stored: Stored, card: CardHistory, committed: number, day = 0): void => {
  const whole = (): Buffer => {
    card.compact(committed)
    return encodeCard(card, writer, day)
  }
  stored.write(encodeCardAddition(card, writer, day), whole, () => card.stored.bytes)
}

const writePart = (stored: Stored, part: EntityPart, committed: number): void => {
  const whole = (): Buffer => {
    part.compact({ nextOffset: committed, labelNextOffset: committed })
    return encodeEntityPart(part, writer)
  }
  stored.write(encodeEntityAddition(part, writer), whole, () => part.stored.bytes)
}

interface At {
  readonly timeMs: number
  readonly offset: number
  readonly committed: number
}

/** The same happens to both; the store knows of the first. What is committed is never decided again. */
function change(
  cards: readonly CardHistory[],
  { kind, ms }: Step,
  { timeMs, offset, committed }: At,
  isWide: boolean,
): void {
  for (const card of cards) {
    if (kind === 'event' || kind === 'late') {
      const event = eventAt(kind === 'event' ? timeMs + ms : timeMs - ms, offset)
      const isRetry = card.isRetry(event.timeMs, event.idHash, event.intentHash)
      card.insert(event, isRetry, isWide ? undefined : NARROW)
    } else if (kind === 'outcome') card.setOutcome(Math.max(committed, offset - ms), 2)
    else if (kind === 'cause') {
      // Only of what is held.
      if (card.indexOfOffset(offset - 1 - ms) >= 0) card.addCause(offset - 1 - ms, offset)
    } else if (kind === 'compact') card.compact(committed)
    else if (kind === 'forget') card.forgetFrom(Math.max(committed, offset - ms))
  }
}

test('a card to which events were appended is read as it is held, whatever else happened to it', () => {
  const total = { wholes: 0, additions: 0 }
  holds(
    80,
    fc.property(steps, fc.boolean(), fc.integer({ min: 1, max: 5 }), (all, isWide, every) => {
      const [card, twin] = [new CardHistory(), new CardHistory()]
      const stored = new Stored()
      let [timeMs, offset, committed] = [START_MS, 0, 0]
      for (const [index, step] of all.entries()) {
        if (step.kind === 'compact') committed = Math.max(committed, offset - step.ms)
        change([card, twin], step, { timeMs, offset, committed }, isWide)
        if (step.kind === 'event') timeMs += step.ms
        if (step.kind === 'event' || step.kind === 'late') offset += 1
        if (index % every !== 0) continue
        committed = Math.max(committed, offset - BACK_MAX)
        writeCard(stored, card, committed)
        const held = decodeCard(encodeCard(twin, writer))
        assert.deepEqual(normalCard(decodeCard(stored.value)), normalCard(held))
      }
      total.wholes += stored.wholes
      total.additions += stored.additions
    }),
  )
  assert.ok(total.wholes > 500 && total.additions > 500, JSON.stringify(total))
})

test('an entity to which events were appended is read as it is held, whatever else happened to it', () => {
  const total = { wholes: 0, additions: 0 }
  holds(
    80,
    fc.property(steps, fc.integer({ min: 1, max: 5 }), (all, every) => {
      const [part, twin] = [new EntityPart(), new EntityPart()]
      const stored = new Stored()
      let [timeMs, offset] = [START_MS, 0]
      for (const [index, { kind, ms }] of all.entries()) {
        for (const each of [part, twin]) {
          if (kind === 'event') each.insert(timeMs + ms, offset, offset + 1, offset % 13)
          else if (kind === 'late') each.insert(timeMs - ms, offset, offset + 1, offset % 13)
          // What was written before a crash comes again.
          else if (kind === 'forget') each.insert(timeMs, offset - ms, offset - ms + 1, 1)
          else if (kind === 'label') each.insertLabel(labelAt(timeMs, offset - ms, index))
          else if (kind === 'compact') {
            each.compact({ nextOffset: offset - ms, labelNextOffset: index - ms })
          }
        }
        if (kind === 'event') timeMs += ms
        if (kind === 'event' || kind === 'late') offset += 1
        if (index % every !== 0) continue
        writePart(stored, part, offset - BACK_MAX)
        const held = decodeEntityPart(encodeEntityPart(twin, writer))
        assert.deepEqual(normalPart(decodeEntityPart(stored.value)), normalPart(held))
      }
      total.wholes += stored.wholes
      total.additions += stored.additions
    }),
  )
  assert.ok(total.wholes > 500 && total.additions > 500, JSON.stringify(total))
})

/** A card and an entity of eight events each, in three parts. */
function inParts(): readonly (readonly [
  parts: readonly Buffer[],
  decode: (of: Buffer) => unknown,
])[] {
  const [card, part] = [new CardHistory(), new EntityPart()]
  const [cardParts, partParts]: [Buffer[], Buffer[]] = [[], []]
  for (let offset = 0; offset < 8; offset += 1) {
    card.insert(eventAt(START_MS + offset, offset), false)
    part.insert(START_MS + offset, offset, offset + 1, offset)
    if (offset % 3 !== 1) continue
    cardParts.push(encodeCardAddition(card, writer) ?? encodeCard(card, writer))
    partParts.push(encodeEntityAddition(part, writer) ?? encodeEntityPart(part, writer))
  }
  return [
    [cardParts, decodeCard],
    [partParts, decodeEntityPart],
  ]
}

test('damage to any byte of an addition is noticed, and one that is missing, doubled or elsewhere', () => {
  for (const [parts, decode] of inParts()) {
    const [first, second, third] = parts
    assert.ok(first !== undefined && second !== undefined && third !== undefined)
    const whole = Buffer.concat(parts)
    decode(whole)
    for (let index = 0; index < whole.length; index += 1) {
      for (const mask of [0x01, 0x80, 0xff]) {
        const damaged = Buffer.from(whole)
        damaged[index] = (damaged[index] ?? 0) ^ mask
        assert.throws(() => decode(damaged), isCorrupt, `byte ${index} xor ${mask}`)
      }
      const isEndOfPart = index === first.length || index === first.length + second.length
      if (!isEndOfPart) assert.throws(() => decode(whole.subarray(0, index)), isCorrupt)
    }
    for (const wrong of [
      [first, third],
      [first, third, second],
      [first, second, second, third],
      [second, third],
      [first, second, third, Buffer.from([0])],
    ]) {
      assert.throws(() => decode(Buffer.concat(wrong)), isCorrupt)
    }
  }
})

test('a value is written whole once a day, since its time to live begins then', () => {
  const card = new CardHistory()
  const stored = new Stored()
  for (let offset = 0; offset < 6; offset += 1) {
    card.insert(eventAt(START_MS + offset, offset), false)
    writeCard(stored, card, offset, offset < 3 ? 18_000 : 18_001)
  }
  assert.deepEqual([stored.wholes, stored.additions], [2, 4])
})

test('what is appended stays below its most, and nothing is appended where nothing is new', () => {
  const card = new CardHistory()
  const stored = new Stored()
  let wholeBytes = 0
  for (let offset = 0; offset < 3_000; offset += 1) {
    card.insert(eventAt(START_MS + offset * 60_000, offset), false)
    const { wholes } = stored
    writeCard(stored, card, offset)
    if (stored.wholes > wholes) wholeBytes = stored.value.length
    assert.ok(stored.value.length <= wholeBytes + ADDED_BYTES_MAX + 1_024)
    assert.equal(encodeCardAddition(card, writer)?.length ?? 0, 0)
  }
  assert.ok(stored.additions > 4 * stored.wholes, `${stored.additions} and ${stored.wholes}`)
})
