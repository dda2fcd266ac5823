// Goal: what is found ahead for a batch changes no value, also where other transactions come than were expected.
// Method: random streams folded one by one, where nothing is expected, and at once with expectations that are right, or
// wrong in every way: left out, too early, twice, of another state.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  prefetch,
  forEachPrefetched,
  GROUP_MAX,
  type Touchable,
} from '../../../../../services/core/features/state/prefetch.ts'
import { PARTITION_START } from '../../../../../services/core/features/engine/partition-fold.ts'
import type { Transaction } from '../../../../../services/core/transaction.ts'
import { rowsOneByOne } from '../../../../support/batched-partition.ts'
import {
  itemsOf,
  stepsOf,
  type Step,
  type StreamShape,
} from '../../../../support/feature-streams.ts'
import {
  foldExpecting,
  openFold,
  PlainState,
  transactionsOf,
  type FoldedRow,
  type PartitionLog,
} from '../../../../support/fold-entries.ts'
import { normalCard, normalPart } from '../../../../support/normal-state.ts'
import { holdsForLong } from '../../../../support/property.ts'
import { logsOf } from '../../../../support/stored-partitions.ts'

/** Up to several looks ahead. Labels would be known earlier at once than one by one. */
const shape: StreamShape = { stepsMax: 3 * GROUP_MAX, cards: 4, terminals: 3, labelShare: 0 }

function logOf(steps: readonly Step[]): PartitionLog {
  const [log] = logsOf(itemsOf(steps), 1, () => 0)
  assert.ok(log !== undefined)
  return log
}

/** All at once, after these were expected. */
function rowsAtOnce(
  { entries }: PartitionLog,
  state: PlainState,
  expected: readonly Transaction[],
): readonly FoldedRow[] {
  return foldExpecting(expected, { entries }, openFold(PARTITION_START), state)
}

/** Cards and parts by key: in which order they came to be is nobody's business. */
function normalState({ cards, parts }: PlainState): ReadonlyMap<string, unknown> {
  const state = new Map<string, unknown>()
  for (const [key, card] of cards) state.set(key, normalCard(card))
  for (const [key, part] of parts) {
    const normal = normalPart(part)
    if (normal !== null) state.set(key, normal)
  }
  return state
}

/** Where an expectation goes wrong, and how. */
interface Fault {
  readonly at: number
  readonly kind: 'left out' | 'early' | 'twice'
}

const faults: fc.Arbitrary<readonly Fault[]> = fc.array(
  fc.record<Fault>({
    at: fc.oneof(fc.integer({ min: 0, max: 3 * GROUP_MAX }), fc.constantFrom(63, 64, 65, 127, 128)),
    kind: fc.constantFrom('left out', 'early', 'twice'),
  }),
  { maxLength: 4 },
)

function disturbed(
  transactions: readonly Transaction[],
  wrong: readonly Fault[],
): readonly Transaction[] {
  const all = [...transactions]
  for (const { at, kind } of wrong) {
    const [own] = all.slice(at, at + 1)
    if (own === undefined) continue
    if (kind === 'left out') all.splice(at, 1)
    else if (kind === 'twice') all.splice(at, 0, own)
    else all.splice(at, 2, ...all.slice(at, at + 2).reverse())
  }
  return all
}

test('a batch that is expected has the rows and the state of one in which each is looked up by itself', () => {
  holdsForLong(
    100,
    fc.property(stepsOf(shape), (steps) => {
      const log = logOf(steps)
      const [ahead, alone] = [new PlainState(), new PlainState()]
      const rows = rowsAtOnce(log, ahead, transactionsOf(log.entries))
      assert.deepEqual(rows, rowsOneByOne(log, alone))
      assert.deepEqual(normalState(ahead), normalState(alone))
    }),
  )
})

test('also where other transactions come than were expected', () => {
  holdsForLong(
    100,
    fc.property(stepsOf(shape), faults, (steps, wrong) => {
      const log = logOf(steps)
      const expected = disturbed(transactionsOf(log.entries), wrong)
      assert.deepEqual(rowsAtOnce(log, new PlainState(), expected), rowsOneByOne(log))
    }),
  )
})

test('what is at hand of one state is not taken for another', () => {
  holdsForLong(
    100,
    fc.property(stepsOf(shape), fc.integer({ min: 0, max: 3 * GROUP_MAX }), (steps, at) => {
      const { entries } = logOf(steps)
      /** The first `at` go into one state, all others into another. */
      const rowsOf = (expected: readonly Transaction[]): readonly FoldedRow[] => {
        const fold = openFold(PARTITION_START)
        const [first, second] = [new PlainState(), new PlainState()]
        const rows = foldExpecting(expected, { entries: entries.slice(0, at) }, fold, first)
        return [...rows, ...foldExpecting(null, { entries: entries.slice(at) }, fold, second)]
      }
      assert.deepEqual(rowsOf(transactionsOf(entries)), rowsOf([]))
    }),
  )
})

/** Says in which order it was asked what. */
class Noted implements Touchable {
  readonly #name: number
  readonly #notes: string[]

  constructor(name: number, notes: string[]) {
    this.#name = name
    this.#notes = notes
  }

  touchSelf(): number {
    return this.#note('self')
  }

  touchParts(): number {
    return this.#note('parts')
  }

  touchRows(): number {
    return this.#note('rows')
  }

  prefetchFar(): number {
    return this.#note('far')
  }

  touchNewest(): number {
    return this.#note('newest')
  }

  #note(what: string): number {
    this.#notes.push(`${what} ${this.#name}`)
    return 0
  }
}

test('values are brought near step by step, and not one after the other', () => {
  const notes: string[] = []
  prefetch([new Noted(1, notes), new Noted(2, notes), new Noted(3, notes)], 2)
  const steps = ['self', 'parts', 'rows', 'far']
  assert.deepEqual(
    notes,
    steps.flatMap((step) => [`${step} 1`, `${step} 2`]),
  )
})

test('each value is worked on once, in order, after it was brought near; places without one are left out', () => {
  for (const length of [0, 1, GROUP_MAX - 1, GROUP_MAX, GROUP_MAX + 1, 3 * GROUP_MAX + 5]) {
    const notes: string[] = []
    const places = Array.from({ length }, (_, index) => 2 * index)
    const valueAt = (place: number): Noted | undefined =>
      place % 3 === 0 ? undefined : new Noted(place, notes)
    const worked: number[] = []
    forEachPrefetched(places, valueAt, (_, place) => {
      assert.ok(notes.includes(`newest ${place}`))
      worked.push(place)
    })
    assert.deepEqual(
      worked,
      places.filter((place) => place % 3 !== 0),
    )
  }
})
