// Goal: a partition starts with everything that is committed, even where a transaction's marker has not arrived yet.
// Method: a start on a real broker while a transaction is still open; Redis does not answer.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { DEFAULT_RATES } from '../../services/core/currency.ts'
import { SluiceError } from '../../services/core/errors.ts'
import { openNativeLogClient } from '../../services/platform/kafka/native/native-log-client.ts'
import { openLogger } from '../../services/platform/log.ts'
import { createScorerTelemetry } from '../../services/platform/metrics/scorer-telemetry.ts'
import type { PartitionStore } from '../../services/platform/redis/partition-store-contract.ts'
import type { InboxOptions } from '../../services/scorer/intake/record-queue.ts'
import { startPartition } from '../../services/scorer/recovery/partition-start.ts'
import { closeWith } from '../support/cleanup.ts'
import { openStream, PARTITION_COUNT, type TestStream } from '../support/streams.ts'
import { fullAlert, fullLease } from '../unit/core/wire/samples.ts'

const log = openLogger('partition-start-test', 'silent')

/** Without Redis a live partition starts without its state. */
const AWAY = {
  claim: () => Promise.reject(new SluiceError('SLUICE_FEATURE_STORE_UNAVAILABLE', 'away')),
} as unknown as PartitionStore

function inboxOf({ codecs, prefix }: TestStream): InboxOptions {
  return {
    partition: 0,
    partitionCount: PARTITION_COUNT,
    transactionsTopic: `${prefix}transactions`,
    labelsTopic: `${prefix}labels`,
    codecs,
    rates: DEFAULT_RATES,
    batchSizeMax: 100,
    alignment: 'live',
    eventAheadMsMax: 0,
    hmacKey: 'test',
  }
}

/** Starts partition 0 of the stream by the native client. */
function start(t: TestContext, stream: TestStream) {
  const { brokers, prefix, groupId, admin } = stream
  const client = openNativeLogClient({
    connection: { brokers },
    log,
    groupId,
    topics: [`${prefix}transactions`, `${prefix}labels`],
    sessionTimeoutMs: 6_000,
    instanceId: null,
    transactionalIdPrefix: `${prefix}member-`,
    onRecords: () => undefined,
    onFault: () => undefined,
  })
  closeWith(t, () => client.close())
  return startPartition({
    admin,
    readRange: (...range) => client.readRange(...range),
    readLast: (topic, partition) => client.readLast(topic, partition),
    openWriter: () => client.openWriter(0),
    group: client.group,
    store: AWAY,
    log,
    telemetry: createScorerTelemetry(),
    inbox: inboxOf(stream),
    alignment: 'live',
    lateValuesMax: 1_000,
    decisionsTopic: `${prefix}decisions`,
    leasesTopic: `${prefix}leases`,
    epochs: { held: null },
    corruptGeneration: null,
  })
}

test('a lease whose transaction is answered but not yet ended is read', async (t) => {
  const stream = await openStream(t, 'start-leases')
  const { codecs, prefix, kafka } = stream
  const producer = kafka.producer({ transactionalId: `${prefix}last`, maxInFlightRequests: 1 })
  await producer.connect()
  closeWith(t, () => producer.disconnect())
  const alert = codecs.alert.encode(fullAlert)
  const value = codecs.lease.encode({ ...fullLease, alert })
  const send = async (card: string) => {
    const transaction = await producer.transaction()
    const messages = [{ key: card, value, partition: 0 }]
    await transaction.send({ topic: `${prefix}leases`, messages })
    return transaction
  }
  await (await send('card-before')).commit()
  const last = await send('card-last')
  const starting = start(t, stream)
  strictEqual(await Promise.race([starting, sleepMs(500, 'waits')]), 'waits')
  await last.commit()
  const started = await starting
  ok(started !== null)
  const cards = started.leases.map(({ card }) => card)
  deepStrictEqual(cards.sort(), ['card-before', 'card-last'])
})
