// Goal: an extreme time in a stream does not make later messages late: neither the end of a replay, which is a
// watermark of 2100, nor a payment with a future event time on a broker that accepts one.
// Method: real scorers, first aligned and then live on one group; and a live one whose state is rebuilt after such a
// payment. `sluice replay` recomputes all decisions.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { partitionOfText } from '../../services/core/murmur2.ts'
import { splitOwner } from '../../services/platform/kafka/offset-owner.ts'
import { decodeMetadata, decodeProgress } from '../../services/core/stream/partition-progress.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { partitionKeys } from '../../services/platform/redis/keys.ts'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { END_OF_STREAM_MS } from '../../services/producer/watermarks.ts'
import { audit } from '../support/audit.ts'
import { partsOf } from '../support/event-parts.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import { openDatabase } from '../support/own-database.ts'
import { eventually } from '../support/poll.ts'
import { startScorer } from '../support/scorer-process.ts'
import { runSluice } from '../support/sluice-command.ts'
import {
  openStream,
  PARTITION_COUNT,
  simulatedEvents,
  type TestStream,
} from '../support/streams.ts'

const TRANSACTIONS = 1_500
const LATE_MARKS = ['after_watermark', 'behind_reach', 'expired'] as const

/** The number of decisions of a live scorer by annotation of lateness. */
function lateAnnotations({ decisionBatches }: Outputs): Readonly<Record<string, number>> {
  const decisions = decisionBatches
    .filter(({ batch }) => batch.alignment === 'live')
    .flatMap(({ batch }) => batch.decisions)
  return Object.fromEntries(
    LATE_MARKS.map((annotation) => [
      annotation,
      decisions.filter(({ annotations }) => annotations.includes(annotation)).length,
    ]),
  )
}

const NONE_LATE = { after_watermark: 0, behind_reach: 0, expired: 0 }

async function assertReplayed(environment: Readonly<Record<string, string>>): Promise<void> {
  const { stdout, stderr } = await runSluice(['replay', '--all', '--json'], environment)
  ok(stdout !== '', stderr)
  const ran = JSON.parse(stdout) as { readonly decisions: number; readonly mismatched: number }
  ok(ran.decisions > 0)
  strictEqual(ran.mismatched, 0, stdout)
}

async function committedPositions({ admin, groupId, prefix }: TestStream) {
  const topics = [topicName(prefix, 'transactions')]
  const [of] = await admin.fetchOffsets({ groupId, topics })
  return (
    of?.partitions.map(({ metadata }) => decodeMetadata(splitOwner(metadata).metadata)?.position) ??
    []
  )
}

test('a stream filled by an aligned replay continues live without its watermarks', async (t) => {
  const stream = await openStream(t, 'aligned-live')
  const outputs = followOutputs(t, stream)
  const [replayed = [], live = []] = partsOf(await simulatedEvents(TRANSACTIONS), 2)
  const ends = (['labels', 'transactions'] as const).map((topic): ProducedEvent => ({
    kind: 'watermark',
    topic,
    timeMs: END_OF_STREAM_MS,
  }))
  await stream.send([...replayed, ...ends])
  const aligned = await startScorer(t, stream.environment({ SLUICE_ALIGNMENT: 'aligned' }))
  await outputs.until('the end of the replay', () => outputs.isCaughtUp)
  strictEqual(await aligned.end('SIGTERM'), 0)
  const left = await committedPositions(stream)
  ok(
    left.every((position) => position?.watermarkMs === END_OF_STREAM_MS),
    'the replay left no end',
  )

  const environment = stream.environment()
  const scorer = await startScorer(t, environment)
  await stream.send(live)
  await outputs.readToEnd()
  strictEqual(await scorer.end('SIGTERM'), 0)
  deepStrictEqual(await audit(stream, outputs), [])
  deepStrictEqual(lateAnnotations(outputs), NONE_LATE)
  for (const position of await committedPositions(stream)) {
    deepStrictEqual([position?.watermarkMs, position?.labelWatermarkMs], [-1, -1])
  }
  await assertReplayed(environment)
})

/** False for the refusal of a timestamp. @throws Any other error. */
function ifInvalidTimestamp(error: unknown): false {
  if (error instanceof kafkajs.KafkaJSProtocolError && error.type === 'INVALID_TIMESTAMP')
    return false
  throw error
}

test('a payment with a future event time is a dead letter, and stays one when the state is rebuilt', async (t) => {
  const stream = await openStream(t, 'future')
  const outputs = followOutputs(t, stream)
  const { redis, redisUrl } = await openDatabase(t, stream.redisUrl)
  const topic = topicName(stream.prefix, 'transactions')
  // The default of a broker before Kafka 4.0.
  await stream.admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: kafkajs.ConfigResourceTypes.TOPIC,
        name: topic,
        configEntries: [{ name: 'message.timestamp.after.max.ms', value: '9223372036854775807' }],
      },
    ],
  })
  const events = await simulatedEvents(TRANSACTIONS)
  const [first = [], second = []] = partsOf(events, 2)
  const payment = events.find((event) => event.kind === 'transaction')
  ok(payment !== undefined)
  const eventTimeMs = END_OF_STREAM_MS - 1
  const { transaction } = payment
  const value = stream.codecs.transaction.encode({ ...transaction, id: 'future', eventTimeMs })
  const partition = partitionOfText(transaction.card, PARTITION_COUNT)
  // Kafka's controller answers before the broker applies the change; until then it refuses the time.
  await eventually('a time to come is accepted', () =>
    stream
      .sendRaw('transactions', partition, [
        { key: transaction.card, value, timestamp: String(eventTimeMs) },
      ])
      .then(() => true, ifInvalidTimestamp),
  )
  await stream.send(first)

  const environment = stream.environment({ SLUICE_REDIS_URL: redisUrl })
  const scorer = await startScorer(t, environment)
  await outputs.until('the first part', () => outputs.isCaughtUp)
  await redis.flushdb()
  await stream.send(second)
  await outputs.until('the second part', () => outputs.isCaughtUp)
  await eventually('every partition has its state again', async () => {
    const { body } = await scorer.page('/readyz')
    return (
      (JSON.parse(body) as { degradedPartitions: readonly number[] }).degradedPartitions.length ===
      0
    )
  })
  ok((await scorer.metric('sluice_state_rebuilds_total')) > 0, 'nothing was built anew')
  await outputs.readToEnd()
  strictEqual(await scorer.end('SIGTERM'), 0)
  deepStrictEqual(await audit(stream, outputs), [])
  deepStrictEqual(
    outputs.deadLetters.map(({ offset, reason }) => [offset, reason]),
    [[0, 'event_time_ahead']],
  )
  deepStrictEqual(lateAnnotations(outputs), NONE_LATE)
  for (let partition = 0; partition < PARTITION_COUNT; partition += 1) {
    const progress = decodeProgress(
      await redis.get(partitionKeys(stream.streamId, partition).progress),
    )
    ok(
      progress !== null && progress.newestEventMs < Date.now(),
      `partition ${partition} is in the future`,
    )
  }
  await assertReplayed(environment)
})
