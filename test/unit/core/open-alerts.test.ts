import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { OpenAlerts } from '../../../services/core/open-alerts.ts'
import type { Alert } from '../../../services/core/wire/records.ts'
import { holds } from '../../support/property.ts'
import { minimalAlert, minimalDisposition, minimalLabel } from './wire/samples.ts'

function open(alertsMax = 100): OpenAlerts {
  return new OpenAlerts({ horizonMs: 1_000, alertsMax, knownMax: 100 })
}

function alertOf(alertId: string, more: Partial<Alert> = {}): Alert {
  return { ...minimalAlert, alertId, transactionId: `tx-${alertId}`, decidedAtMs: 0, ...more }
}

function idsOf(alerts: OpenAlerts, nowMs = 10): readonly string[] {
  return alerts.open(nowMs).map(({ alertId }) => alertId)
}

test('what is released, over, labelled, found about or too old is no longer open', () => {
  const alerts = open()
  const lease = { grade: 'suspected', startMs: 0, endMs: 10 } as const
  for (const id of ['open', 'labelled', 'found', 'released'])
    alerts.takeAlert(alertOf(id, { action: 'block' }))
  alerts.takeAlert(alertOf('over', { action: 'block', lease }))
  alerts.takeAlert(alertOf('released', { revision: 1, action: 'release' }))
  alerts.takeLabel({ ...minimalLabel, transactionId: 'tx-labelled' })
  alerts.takeDisposition({ ...minimalDisposition, transactionId: 'tx-found' })
  assert.deepEqual(idsOf(alerts, 9), ['open', 'over'])
  assert.deepEqual(idsOf(alerts, 10), ['open'])
  assert.deepEqual(idsOf(alerts, 1_000), [])
})

test('an alert is found by its own id and by that of its transaction, open or not', () => {
  const alerts = open()
  alerts.takeAlert(alertOf('a', { revision: 1, action: 'release' }))
  assert.equal(alerts.find('a')?.revision, 1)
  assert.equal(alerts.find('tx-a')?.alertId, 'a')
  assert.equal(alerts.find('b'), null)
})

test('of too many the oldest goes, and that is told', () => {
  const alerts = open(2)
  for (const id of ['a', 'b', 'c']) alerts.takeAlert(alertOf(id))
  assert.deepEqual([idsOf(alerts), alerts.leftOut, alerts.find('tx-a')], [['b', 'c'], 1, null])
})

test('what is open depends on what was said, not on the order in which it was read', () => {
  const words: readonly ((alerts: OpenAlerts) => void)[] = [
    ...['a', 'b', 'c', 'd'].map((id) => (alerts: OpenAlerts) => {
      alerts.takeAlert(alertOf(id, { action: 'block' }))
    }),
    (alerts) => {
      alerts.takeAlert(alertOf('a', { revision: 1, action: 'release' }))
    },
    (alerts) => {
      alerts.takeAlert(alertOf('a', { revision: 2, action: 'flag' }))
    },
    (alerts) => {
      alerts.takeAlert(alertOf('b', { revision: 1, action: 'release' }))
    },
    (alerts) => {
      alerts.takeLabel({ ...minimalLabel, transactionId: 'tx-c' })
    },
  ]
  holds(
    100,
    fc.property(fc.shuffledSubarray([...words], { minLength: words.length }), (shuffled) => {
      const alerts = open()
      for (const say of shuffled) say(alerts)
      assert.deepEqual(idsOf(alerts).toSorted(), ['a', 'd'])
    }),
  )
})
