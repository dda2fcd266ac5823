// Waits until alerts of an observed system fire and clear, and records which did.

import { ok } from 'node:assert/strict'
import type { ObservedSystem } from './observed-system.ts'
import { eventually } from './poll.ts'

/** An alert fires after its pending time, and later on a busy machine. */
const WAIT_MS_MAX = 180_000
/** Rules are evaluated every second; polling more often only takes time from the observed system. */
const POLL_MS = 200

export interface AlertWatch {
  /** Names of the alerts that have fired so far. */
  readonly made: ReadonlySet<string>
  /** Waits until the alerts fire, and checks that their texts are readable. */
  readonly fires: (...names: readonly string[]) => Promise<void>
  /** Waits until the alerts have cleared. */
  readonly clears: (...names: readonly string[]) => Promise<void>
}

/** Watches the alerts of this system. */
export function watchAlerts({ prometheus }: Pick<ObservedSystem, 'prometheus'>): AlertWatch {
  const made = new Set<string>()
  /** A wait that times out reports the state of the alerts. */
  const wait = async (what: string, ask: () => Promise<boolean>): Promise<void> => {
    try {
      await eventually(what, ask, { limitMs: WAIT_MS_MAX, intervalMs: POLL_MS })
    } catch (error) {
      const alerts = (await prometheus.alerts()).map(({ name, state }) => `${name} ${state}`)
      throw new Error(`${what}? There is: ${alerts.join(', ') || 'no alert'}.`, { cause: error })
    }
  }
  const isFiring = async (name: string): Promise<boolean> => {
    const alerts = await prometheus.alerts()
    return alerts.some((alert) => alert.name === name && alert.state === 'firing')
  }
  return {
    made,
    async fires(...names) {
      for (const name of names) {
        await wait(`${name} fires`, () => isFiring(name))
        made.add(name)
      }
      for (const { name, annotations } of await prometheus.alerts()) {
        for (const text of Object.values(annotations))
          ok(!/<error|<no value>|%!|\{\{/.test(text), `${name}: ${text}`)
      }
    },
    async clears(...names) {
      for (const name of names) {
        ok(made.has(name), `${name} has fired before`)
        await wait(`${name} clears`, async () => !(await isFiring(name)))
      }
    },
  }
}
