import { deepStrictEqual, rejects, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  rememberIn,
  type CoordinatingCluster,
} from '../../../../services/platform/kafka/remembered-coordinators.ts'

const TRANSACTION = { groupId: 'partition-3', coordinatorType: 1 }
const GROUP = { groupId: 'scorers' }

/** Clusters whose coordinator is broker `at`, and their requests to the brokers. */
function clusters() {
  const seen = { nowMs: 1_000, at: 1, asked: [] as string[] }
  const failures = { find: null as Error | null, connect: null as Error | null }
  class Cluster implements CoordinatingCluster {
    findGroupCoordinator({ groupId }: { readonly groupId: string }) {
      seen.asked.push(groupId)
      return failures.find === null
        ? Promise.resolve({ nodeId: seen.at })
        : Promise.reject(failures.find)
    }

    findBroker({ nodeId }: { readonly nodeId: string | number }) {
      return failures.connect === null
        ? Promise.resolve({ nodeId })
        : Promise.reject(failures.connect)
    }
  }
  rememberIn(Cluster.prototype, () => seen.nowMs)
  return { seen, failures, open: () => new Cluster() }
}

test('the steps of a transaction ask for each coordinator once, and anew after a moment', async () => {
  const { seen, open } = clusters()
  const producer = open()
  for (const wanted of [TRANSACTION, TRANSACTION, GROUP, TRANSACTION, GROUP]) {
    strictEqual((await producer.findGroupCoordinator(wanted)).nodeId, 1)
  }
  deepStrictEqual(seen.asked, ['partition-3', 'scorers'])
  seen.at = 2
  seen.nowMs += 249
  strictEqual((await producer.findGroupCoordinator(TRANSACTION)).nodeId, 1)
  seen.nowMs += 1
  strictEqual((await producer.findGroupCoordinator(TRANSACTION)).nodeId, 2)
  strictEqual((await producer.findGroupCoordinator(GROUP)).nodeId, 2)
})

test('a consumer, which looks for its coordinator after a failure, always gets an answer of the brokers', async () => {
  const { seen, open } = clusters()
  const consumer = open()
  await open().findGroupCoordinator(TRANSACTION)
  for (const at of [1, 2, 3]) {
    seen.at = at
    strictEqual((await consumer.findGroupCoordinator(GROUP)).nodeId, at)
  }
})

test('what one producer knows is not told to another, and a failure is not remembered', async () => {
  const { seen, failures, open } = clusters()
  const [first, second] = [open(), open()]
  await first.findGroupCoordinator(TRANSACTION)
  failures.find = new Error('away')
  await rejects(second.findGroupCoordinator(TRANSACTION), failures.find)
  failures.find = null
  await second.findGroupCoordinator(TRANSACTION)
  strictEqual(seen.asked.length, 3)
})

test('where the broker that is remembered is away, the brokers are asked', async () => {
  const { seen, failures, open } = clusters()
  const producer = open()
  await producer.findGroupCoordinator(TRANSACTION)
  failures.connect = new Error('refused')
  seen.at = 2
  strictEqual((await producer.findGroupCoordinator(TRANSACTION)).nodeId, 2)
  failures.connect = null
  strictEqual((await producer.findGroupCoordinator(TRANSACTION)).nodeId, 2)
  strictEqual(seen.asked.length, 2)
})
