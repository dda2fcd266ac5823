// Goal: at a hand-over a partition that does not end holds up no other, and starts again only after it has ended. Method: a log
// whose output of one partition opens when the test says so; the group is the test.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Admin } from 'kafkajs'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import type { GroupHandlers, LogClient } from '../../../../services/platform/kafka/log-client.ts'
import { openLogger } from '../../../../services/platform/log.ts'
import { createScorerTelemetry } from '../../../../services/platform/metrics/scorer-telemetry.ts'
import type { PartitionStore } from '../../../../services/platform/redis/partition-store-contract.ts'
import { loadScorerConfig } from '../../../../services/scorer/config.ts'
import { OperatorOverrides } from '../../../../services/scorer/deployments/operator-overrides.ts'
import { ConsumerGroup } from '../../../../services/scorer/intake/consumer-group.ts'
import { eventually } from '../../../support/poll.ts'
import { codecs } from '../../core/wire/wire-fixture.ts'

const STUCK = 1

/** Partition STUCK waits in its start until `letGo`; the others start over again and again. */
async function openGroup(t: TestContext) {
  const log: string[] = []
  let letGo: () => void = () => undefined
  const held = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const joined: GroupHandlers[] = []
  const client: LogClient = {
    reader: {
      seek: () => undefined,
      pause: () => undefined,
      resume: () => undefined,
      release: (topic, partition) => {
        if (topic === 'transactions') log.push(`release ${partition}`)
      },
    },
    group: {
      failed: new Promise(() => undefined),
      join: (of) => {
        joined.push(of)
        return Promise.resolve()
      },
      readCommitted: () => Promise.reject(new Error('away')),
      leave: () => Promise.resolve(),
    },
    openWriter: async (partition) => {
      if (!log.includes(`open ${partition}`)) log.push(`open ${partition}`)
      if (partition === STUCK) await held
      throw new Error('away')
    },
    readLast: () => Promise.reject(new Error('away')),
    readEnds: () => Promise.reject(new Error('away')),
    readRange: () => Promise.reject(new Error('away')),
    close: () => Promise.resolve(),
  }
  const group = new ConsumerGroup({
    config: loadScorerConfig({}),
    log: openLogger('consumer-group-test', 'silent'),
    telemetry: createScorerTelemetry(),
    tracer: null,
    admin: { fetchTopicOffsets: () => Promise.resolve([]) } as unknown as Admin,
    store: { claim: () => Promise.resolve(1) } as unknown as PartitionStore,
    openLog: () => client,
    words: new OperatorOverrides(),
    inbox: (partition) => ({
      partition,
      partitionCount: 2,
      transactionsTopic: 'transactions',
      labelsTopic: 'labels',
      codecs,
      rates: DEFAULT_RATES,
      missingRate: 'dead_letter',
      batchSizeMax: 1,
      alignment: 'live',
      eventAheadMsMax: 0,
      hmacKey: 'test',
    }),
    takeOutput: () => {
      throw new Error('nothing is decided')
    },
  })
  await group.start()
  t.after(() => {
    letGo()
    return group.close()
  })
  const [handlers] = joined
  ok(handlers !== undefined)
  const { onAssigned, onRevoked } = handlers
  const logged = (text: string) => eventually(text, () => Promise.resolve(log.includes(text)))
  return {
    group,
    log,
    logged,
    onAssigned,
    onRevoked,
    letGo: () => {
      letGo()
    },
  }
}

test('a partition that does not end holds up no other, and only its own start', async (t) => {
  const { group, log, logged, onAssigned, onRevoked, letGo } = await openGroup(t)
  onAssigned([0, STUCK])
  await logged('open 0')
  await logged(`open ${STUCK}`)
  log.length = 0
  const beganMs = performance.now()
  await onRevoked()
  ok(performance.now() - beganMs < 5_000, 'the group is not kept waiting')
  deepStrictEqual(log, ['release 0'])
  onAssigned([0, STUCK])
  await logged('open 0')
  deepStrictEqual([log.includes(`open ${STUCK}`), group.partitions], [false, [0]])
  letGo()
  await logged(`open ${STUCK}`)
  deepStrictEqual(group.partitions, [0, STUCK])
  strictEqual(log.indexOf(`release ${STUCK}`) < log.indexOf(`open ${STUCK}`), true)
  deepStrictEqual(
    log.filter((line) => line === `release ${STUCK}`),
    [`release ${STUCK}`],
    'what it reads now is not taken from it',
  )
})

test('a partition that has gone to another member meanwhile does not start', async (t) => {
  const { group, log, logged, onAssigned, onRevoked, letGo } = await openGroup(t)
  onAssigned([STUCK])
  await logged(`open ${STUCK}`)
  log.length = 0
  await onRevoked()
  onAssigned([STUCK])
  await onRevoked()
  onAssigned([0])
  letGo()
  await logged(`release ${STUCK}`)
  await logged('open 0')
  deepStrictEqual(group.partitions, [0])
  strictEqual(log.includes(`open ${STUCK}`), false)
})
