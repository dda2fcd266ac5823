// Who coordinates a transactional id and its group, remembered for a moment. kafkajs asks the brokers anew before each step of
// a transaction: four of the nine requests of a commit, one after the other. It has no setting for that, so the method of its
// clusters that asks is wrapped (docs/adr/0031); a kafkajs without that method is left as it is.

import { createRequire } from 'node:module'

/** Shorter than any series of attempts, so that a series finds a coordinator which has moved. A single attempt may not. */
const REMEMBERED_MS = 250
/** What kafkajs calls a coordinator of transactions; only clusters of transactional producers look for one. */
const TRANSACTION = 1

interface Wanted {
  /** Of a group, or a transactional id. */
  readonly groupId: string
  readonly coordinatorType?: number
}

interface Broker {
  readonly nodeId: string | number
}

/** What of a cluster of kafkajs is looked at: each producer and each consumer has one. */
export interface CoordinatingCluster {
  findGroupCoordinator(wanted: Wanted): Promise<Broker>
  /** One that is known, connected where it is not. */
  findBroker(of: { readonly nodeId: Broker['nodeId'] }): Promise<Broker>
}

interface Remembered {
  readonly nodeId: Broker['nodeId']
  readonly untilMs: number
}

/** Wraps the method for all clusters of this class. Consumers, which look only after a failure, are left alone. */
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
        // It is away, or no broker any more. Nothing was said to it yet, so the brokers are asked as if for the first time.
      }
    }
    known.delete(key)
    const broker = await findGroupCoordinator.call(this, wanted)
    known.set(key, { nodeId: broker.nodeId, untilMs: nowMs() + REMEMBERED_MS })
    return broker
  }
}

let isDone = false

/** Does that for all clients of this process, once. */
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
