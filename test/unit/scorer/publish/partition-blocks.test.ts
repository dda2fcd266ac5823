// Goal: a lease is opened once, grows by new evidence, and ends once, whatever happens in between. Method: random lives
// of a few cards, with batches and crashes between any two steps, continued from the last commit; compared with the
// same life in one piece, and with the invariants of any log of alerts.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Alert } from '../../../../services/core/wire/records.ts'
import { holds } from '../../../support/property.ts'
import { breaks, LEASE_MS, life, played } from '../partition-life.ts'

test('batches and crashes anywhere leave the same alerts, in the same order, and the same table', () => {
  holds(
    300,
    fc.property(life, breaks, (steps, stops) => {
      const whole = played(steps, [])
      const broken = played(steps, stops)
      deepStrictEqual(broken.log.alerts, whole.log.alerts)
      deepStrictEqual(broken.table(), whole.table())
      // The topic matches the table.
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
        // A late block whose time is over on arrival is never held.
        const own = lived.log.alerts.find((alert) => alert.alertId === alertId)
        const isOver = (own?.lease?.endMs ?? 0) <= (own?.decidedAtMs ?? 0)
        ok(own?.card === 'card-z' || isOver, `${alertId} is held for ever`)
      }
    }),
  )
})
