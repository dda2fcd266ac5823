// Caches the coordinators of a transactional id and its group for a moment. kafkajs asks the brokers again before each
// step of a transaction: four of the nine requests of a commit, one after the other. It has no setting for that, so the
// look-up method of its clusters is wrapped (docs/adr/0031); a kafkajs without that method is left alone.

import { createRequire } from 'node:module'

/**
 * Shorter than any series of retries, so that a series finds a coordinator that has moved. A single attempt may not.
 */
const REMEMBERED_MS = 250
/** The coordinator type of transactions in kafkajs; only clusters of transactional producers look one up. */
const TRANSACTION = 1

interface Wanted {
  /** A group or a transactional id. */
  readonly groupId: string
  readonly coordinatorType?: number
}

interface Broker {
  readonly nodeId: string | number
}

/** The part of a kafkajs cluster that is used; each producer and each consumer has one. */
export interface CoordinatingCluster {
  findGroupCoordinator(wanted: Wanted): Promise<Broker>
  /** A known broker, which is connected if necessary. */
  findBroker(of: { readonly nodeId: Broker['nodeId'] }): Promise<Broker>
}

interface Remembered {
  readonly nodeId: Broker['nodeId']
  readonly untilMs: number
}

/**
 * Wraps the method for all clusters of this class. Consumers, which look up a coordinator only after a failure, are
 * left alone.
 */
export function rememberIn(prototype: CoordinatingCluster, nowMs: () => number): void {
  // eslint-disable-next-line @typescript-eslint/unbound-method -- bound by each call below
  const { findGroupCoordinator } = prototype
  const byCluster = new WeakMap<CoordinatingCluster, Map<string, Remembered>>()
  prototype.findGroupCoordinator = async function (wanted) {
    const { groupId, coordinatorType = 0 } = wanted
    let known = byCluster.get(this)
    if (known === undefined) {
      if (coordinatorType !== TRANSACTION) return findGroupCoordinator.call(this, wanted)
      known = new Map()
      byCluster.set(this, known)
    }
    const key = `${coordinatorType} ${groupId}`
    const remembered = known.get(key)
    if (remembered !== undefined && nowMs() < remembered.untilMs) {
      try {
        return await this.findBroker({ nodeId: remembered.nodeId })
      } catch {
        // It is away, or no longer a broker. It has received no request yet, so the brokers are asked as at the first
        // time.
      }
    }
    known.delete(key)
    const broker = await findGroupCoordinator.call(this, wanted)
    known.set(key, { nodeId: broker.nodeId, untilMs: nowMs() + REMEMBERED_MS })
    return broker
  }
}

let isDone = false

/** Wraps the clusters of all clients of this process, once. */
export function rememberCoordinators(): void {
  if (isDone) return
  isDone = true
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/cluster') as {
    prototype: Partial<CoordinatingCluster>
  }
  if (hasMethods(prototype)) rememberIn(prototype, () => performance.now())
}

function hasMethods(prototype: Partial<CoordinatingCluster>): prototype is CoordinatingCluster {
  return (
    typeof prototype.findGroupCoordinator === 'function' &&
    typeof prototype.findBroker === 'function'
  )
}
