// Goal: every open alert is in exactly one case, and the grouping depends on the set of alerts alone. Method: by hand,
// and against a plain definition: two alerts are together when a chain of neighbours connects them.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  type CaseOptions,
  groupCases,
  prioritised,
  type QueuedAlert,
} from '../../../services/core/cases.ts'
import { DEFAULT_RATES } from '../../../services/core/rates/default-rates.ts'
import { holds } from '../../support/property.ts'
import { minimalAlert } from './wire/samples.ts'

const OPTIONS: CaseOptions = { cardMs: 10, terminalMs: 20, terminalCardsMin: 3 }

function queued(
  alertId: string,
  card: string,
  eventTimeMs: number,
  terminal: string | null = null,
  amountMinor = 100,
): QueuedAlert {
  const alert = { ...minimalAlert, alertId, card, eventTimeMs, terminal, amountMinor, score: 0.5 }
  return prioritised(alert, DEFAULT_RATES)
}

function idsOf(alerts: readonly QueuedAlert[], options = OPTIONS): readonly string[] {
  return groupCases(alerts, options)
    .map(({ alerts: members }) => members.map(({ alert }) => alert.alertId).join(''))
    .toSorted()
}

test('alerts of one card are one case until the gap is larger than allowed', () => {
  const alerts = [
    queued('a', '1', 0),
    queued('b', '1', 10),
    queued('c', '1', 21),
    queued('d', '2', 10),
  ]
  assert.deepEqual(idsOf(alerts), ['ab', 'c', 'd'])
})

test('enough cards at one terminal within the window are one case, with what those cards did elsewhere', () => {
  const alerts = [
    queued('a', '1', 0, 'T'),
    queued('b', '2', 10, 'T'),
    queued('c', '3', 20, 'T'),
    queued('d', '3', 25, 'elsewhere'),
    queued('e', '4', 41, 'T'),
  ]
  const [first] = groupCases(alerts, OPTIONS).filter(({ cards }) => cards.length > 1)
  assert.deepEqual(first?.compromisedTerminals, ['T'])
  assert.deepEqual(idsOf(alerts), ['abcd', 'e'])
  // With one card fewer, or a window one millisecond shorter, the terminal does not count as compromised.
  assert.deepEqual(idsOf(alerts.slice(1, 4)), ['b', 'cd'])
  assert.deepEqual(idsOf(alerts.slice(0, 3), { ...OPTIONS, terminalMs: 19 }), ['a', 'b', 'c'])
})

test('one card at a terminal many times makes no compromised terminal', () => {
  const alerts = [0, 1, 2, 3].map((time) => queued(`a${time}`, '1', time, 'T'))
  assert.deepEqual(groupCases(alerts, OPTIONS)[0]?.compromisedTerminals, [])
})

test('the most urgent case comes first, and of equal ones the dearest', () => {
  const alerts = [
    queued('cheap', '1', 0, null, 1_000),
    queued('dear', '2', 0, null, 300_000),
    queued('some', '3', 0, null, 2_000),
  ]
  assert.deepEqual(
    groupCases(alerts, OPTIONS).map(({ caseId, priority }) => `${priority} ${caseId}`),
    ['1 dear', '4 some', '4 cheap'],
  )
})

test('the loss of a case is that of the alerts whose loss is known, and null when none is', () => {
  const known = queued('known', '1', 0, null, 1_000)
  const unknown = { ...queued('unknown', '1', 1), expectedLossMinor: null }
  assert.equal(groupCases([known, unknown], OPTIONS)[0]?.expectedLossMinor, 500)
  assert.equal(groupCases([unknown], OPTIONS)[0]?.expectedLossMinor, null)
})

test('what nobody scored counts in full, and what has no rate is urgent', () => {
  const unscored = { ...minimalAlert, score: null, amountMinor: 5_000, currency: 'EUR' }
  assert.deepEqual(prioritised(unscored, DEFAULT_RATES), {
    alert: unscored,
    expectedLossMinor: 5_000,
    priority: 3,
  })
  const foreign = { ...unscored, currency: 'XAU' }
  assert.deepEqual(prioritised(foreign, DEFAULT_RATES), {
    alert: foreign,
    expectedLossMinor: null,
    priority: 1,
  })
  // Values of the alert itself are used unchanged.
  const said = { ...foreign, expectedLossMinor: 700, priority: 2 }
  assert.deepEqual(prioritised(said, DEFAULT_RATES), {
    alert: said,
    expectedLossMinor: 700,
    priority: 2,
  })
})

const alerts = fc
  .array(
    fc.record({
      card: fc.constantFrom('1', '2', '3', '4', '5'),
      eventTimeMs: fc.integer({ min: 0, max: 120 }),
      terminal: fc.constantFrom(null, 'T', 'U'),
    }),
    { maxLength: 24 },
  )
  .map((list) =>
    list.map(({ card, eventTimeMs, terminal }, index) =>
      queued(`alert-${String(index).padStart(2, '0')}`, card, eventTimeMs, terminal),
    ),
  )

/** Pairs that directly belong together: neighbours of one card, and all within a window that has enough cards. */
function plainCases(list: readonly QueuedAlert[]): readonly string[] {
  const { cardMs, terminalMs, terminalCardsMin } = OPTIONS
  const groups = list.map((each) => new Set([each]))
  const join = (a: QueuedAlert, b: QueuedAlert): void => {
    const of = (each: QueuedAlert) => groups.find((group) => group.has(each)) ?? new Set([each])
    const [left, right] = [of(a), of(b)]
    if (left === right) return
    for (const each of right) left.add(each)
    groups.splice(groups.indexOf(right), 1)
  }
  for (const a of list) {
    for (const b of list) {
      const gapMs = Math.abs(a.alert.eventTimeMs - b.alert.eventTimeMs)
      if (a.alert.card === b.alert.card && gapMs <= cardMs) join(a, b)
    }
    const startMs = a.alert.eventTimeMs
    const within = list.filter(
      ({ alert }) =>
        alert.terminal === a.alert.terminal &&
        alert.terminal !== null &&
        alert.eventTimeMs >= startMs &&
        alert.eventTimeMs <= startMs + terminalMs,
    )
    if (new Set(within.map(({ alert }) => alert.card)).size < terminalCardsMin) continue
    for (const each of within) join(a, each)
  }
  return groups
    .map((group) =>
      [...group]
        .map(({ alert }) => alert.alertId)
        .toSorted()
        .join(' '),
    )
    .toSorted()
}

test('cases are what the plain definition says, each alert in exactly one, in whatever order they came', () => {
  const shuffled = alerts.chain((list) =>
    fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length })),
  )
  holds(
    500,
    fc.property(shuffled, ([list, other]) => {
      const cases = groupCases(list, OPTIONS)
      const ids = cases.map(({ alerts: members }) =>
        members
          .map(({ alert }) => alert.alertId)
          .toSorted()
          .join(' '),
      )
      assert.deepEqual(ids.toSorted(), plainCases(list))
      assert.deepEqual(groupCases(other, OPTIONS), cases)
      const losses = cases.reduce((sum, each) => sum + (each.expectedLossMinor ?? 0), 0)
      assert.equal(
        losses,
        list.reduce((sum, each) => sum + (each.expectedLossMinor ?? 0), 0),
      )
    }),
  )
})
