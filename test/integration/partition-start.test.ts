// Goal: a partition starts with everything that is committed, even where a transaction's marker has not arrived yet.
// Method: a start on a real broker while a transaction is still open; Redis does not answer.

import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Admin } from 'kafkajs'
import { batchHashOf } from '../../services/core/audit/batch-hash.ts'
import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { SluiceError } from '../../services/core/errors.ts'
import { PARTITION_START } from '../../services/core/features/engine/partition-fold.ts'
import { encodeMetadata } from '../../services/core/stream/partition-progress.ts'
import { openNativeLogClient } from '../../services/platform/kafka/native/native-log-client.ts'
import { sendOffsets } from '../../services/platform/kafka/transaction-offsets.ts'
import { openLogger } from '../../services/platform/log.ts'
import { createScorerTelemetry } from '../../services/platform/metrics/scorer-telemetry.ts'
import type { PartitionStore } from '../../services/platform/redis/partition-store-contract.ts'
import type { InboxOptions } from '../../services/scorer/intake/record-queue.ts'
import { startPartition } from '../../services/scorer/recovery/partition-start.ts'
import { closeWith } from '../support/cleanup.ts'
import { openStream, PARTITION_COUNT, type TestStream } from '../support/streams.ts'
import { fullAlert, fullLease, minimalDecisionBatch } from '../unit/core/wire/samples.ts'

const log = openLogger('partition-start-test', 'silent')

/** Without Redis a live partition starts without its state. */
const AWAY = {
  claim: () => Promise.reject(new SluiceError('SLUICE_FEATURE_STORE_UNAVAILABLE', 'away')),
} as unknown as PartitionStore

/** A connection that has broken off silently: the start must not wait for it. */
const SILENT = { fetchTopicOffsets: () => new Promise(() => undefined) } as unknown as Admin

function inboxOf({ codecs, prefix }: TestStream): InboxOptions {
  return {
    partition: 0,
    partitionCount: PARTITION_COUNT,
    transactionsTopic: `${prefix}transactions`,
    labelsTopic: `${prefix}labels`,
    codecs,
    rates: DEFAULT_RATES,
    missingRate: 'dead_letter',
    batchSizeMax: 100,
    alignment: 'live',
    eventAheadMsMax: 0,
    hmacKey: 'test',
  }
}

/** Starts partition 0 of the stream by the native client. */
function start(t: TestContext, stream: TestStream) {
  const { brokers, prefix, groupId } = stream
  const client = openNativeLogClient({
    connection: { brokers },
    log,
    groupId,
    topics: [`${prefix}transactions`, `${prefix}labels`],
    sessionTimeoutMs: 6_000,
    instanceId: null,
    clientId: 'sluice-test',
    transactionalIdPrefix: `${prefix}member-`,
    onRecords: () => undefined,
    onFault: () => undefined,
  })
  closeWith(t, () => client.close())
  return startPartition({
    admin: SILENT,
    readRange: (...range) => client.readRange(...range),
    readLast: (topic, partition) => client.readLast(topic, partition),
    readEnds: (topic, partition) => client.readEnds(topic, partition),
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

for (const isLast of [true, false]) {
  const end = isLast ? 'starts' : 'stops'
  test(`an offset committed with ${isLast ? 'the last' : 'another'} decision batch ${end}`, async (t) => {
    const stream = await openStream(t, 'start-chain')
    const { codecs, prefix, kafka, groupId } = stream
    await stream.sendRaw('transactions', 0, [{ key: 'c', value: 'decided' }])
    const batch = { ...minimalDecisionBatch, nextOffset: 1, labelNextOffset: 0 }
    const chainHash = (isLast ? batchHashOf(batch) : Buffer.alloc(32)).toString('base64')
    const metadata = encodeMetadata({ position: PARTITION_START, chainHash })
    const producer = kafka.producer({ transactionalId: `${prefix}last`, maxInFlightRequests: 1 })
    await producer.connect()
    closeWith(t, () => producer.disconnect())
    const transaction = await producer.transaction()
    const messages = [{ key: '0', value: codecs.decisionBatch.encode(batch), partition: 0 }]
    await transaction.send({ topic: `${prefix}decisions`, messages })
    const places = [
      { topic: `${prefix}transactions`, partition: 0, offset: 1, metadata },
      { topic: `${prefix}labels`, partition: 0, offset: 0, metadata: null },
    ]
    await sendOffsets(transaction, groupId, places)
    await transaction.commit()
    if (isLast) strictEqual((await start(t, stream))?.chainHash, chainHash)
    else await rejects(start(t, stream), { code: 'SLUICE_PARTITION_OFFSET_LOST' })
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
