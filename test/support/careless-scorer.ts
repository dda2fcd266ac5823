// The scorer without one of its guards, for the controls of the integrity suites. The argument names the guard. The
// rest is the released scorer: the same requests, in the same batches, with no pause of its own.

import assert from 'node:assert'
import type { Redis } from 'ioredis'
import type { Producer } from 'kafkajs'
import { openKafka } from '../../services/platform/kafka/kafka-client.ts'
import type { Group, LogClient, LogWriter } from '../../services/platform/kafka/log-client.ts'
import {
  openPartitionRedis,
  openPartitionStore,
  type PartitionRedis,
} from '../../services/platform/redis/partition-store.ts'
import { runScorer } from '../../services/scorer/run.ts'
import { SCORER_ADAPTERS, type ScorerAdapters } from '../../services/scorer/scorer.ts'

export type Guard =
  'transactions' | 'fence' | 'loss-check' | 'dead-letters' | 'queue-limit' | 'read-back'

type OpenLog = ScorerAdapters['openLog']

/** A client of the log with some methods replaced. */
function changed(client: LogClient, changes: Partial<LogClient>): LogClient {
  return {
    reader: client.reader,
    group: client.group,
    openWriter: (partition) => client.openWriter(partition),
    readLast: (topic, partition) => client.readLast(topic, partition),
    readEnds: (topic, partition) => client.readEnds(topic, partition),
    readRange: (range, onRecords, signal) => client.readRange(range, onRecords, signal),
    close: () => client.close(),
    ...changes,
  }
}

/** Finds no decision batch, which would show that the offsets are wrong; leases are read as usual. */
function withoutLastBatch(client: LogClient): LogClient['readLast'] {
  return (topic, partition) =>
    topic.endsWith('decisions') ? Promise.resolve(null) : client.readLast(topic, partition)
}

/** The log with another writer for each partition. */
function withWriter(change: (writer: LogWriter, producer: Producer) => LogWriter): OpenLog {
  return async (kind, options) => {
    const client = await SCORER_ADAPTERS.openLog(kind, options)
    const producer = openKafka(options.connection, { clientId: 'careless' }).producer()
    await producer.connect()
    return changed(client, {
      openWriter: async (partition) => change(await client.openWriter(partition), producer),
      // Output that was published without its offsets is not found.
      readLast: withoutLastBatch(client),
      close: async () => {
        await producer.disconnect()
        await client.close()
      },
    })
  }
}

/**
 * An ordinary producer publishes the output before the transaction, which holds only the input offsets. The topics are
 * written one after the other, since nothing makes them one write any more.
 */
function untransacted(writer: LogWriter, producer: Producer): LogWriter {
  return {
    async commit(messages, offsets, isUrgent) {
      for (const [topic, of] of Map.groupBy(messages, ({ topic }) => topic)) {
        await producer.send({ topic, messages: of, acks: -1 })
      }
      await writer.commit([], offsets, isUrgent)
    },
    close: () => writer.close(),
  }
}

/** Messages that cannot be decided are skipped silently. */
function withoutLetters(writer: LogWriter): LogWriter {
  return {
    commit: (messages, offsets, isUrgent) =>
      writer.commit(
        messages.filter(({ topic }) => !topic.endsWith('dead-letters')),
        offsets,
        isUrgent,
      ),
    close: () => writer.close(),
  }
}

/** Partitions whose queue is full are still fetched. */
const withoutQueueLimit: OpenLog = async (kind, options) => {
  const client = await SCORER_ADAPTERS.openLog(kind, options)
  const { reader } = client
  return changed(client, {
    reader: {
      seek: reader.seek.bind(reader),
      resume: reader.resume.bind(reader),
      release: reader.release.bind(reader),
      pause: () => undefined,
    },
  })
}

/**
 * A process takes the first committed position that it read of a partition as current, even when the partition is
 * assigned to it again.
 */
const withoutReadBack: OpenLog = async (kind, options) => {
  const client = await SCORER_ADAPTERS.openLog(kind, options)
  const { group } = client
  const first = new Map<string, ReturnType<Group['readCommitted']>>()
  return changed(client, {
    group: {
      failed: group.failed,
      join: group.join.bind(group),
      leave: group.leave.bind(group),
      readCommitted: (topic, partition) => {
        const place = `${topic}/${partition}`
        const known = first.get(place) ?? group.readCommitted(topic, partition)
        first.set(place, known)
        return known
      },
    },
    readLast: withoutLastBatch(client),
  })
}

/** fenced-write.lua without the checks of the epoch and of the stored progress. */
const UNGUARDED_WRITE = `
local call, sub, unpack = redis.call, string.sub, struct.unpack
local ttl, bytes, lengths = ARGV[2], ARGV[6], ARGV[7]
local whole = 2 + tonumber(ARGV[5])
local at, next_length = 1, 1
local length, after
for index = 3, whole do
  length, next_length = unpack('<I4', lengths, next_length)
  if length == 0 then
    call('EXPIRE', KEYS[index], 0)
  else
    call('SET', KEYS[index], sub(bytes, at, at + length - 1), 'EX', ttl)
  end
  at = at + length
end
for index = whole + 1, #KEYS do
  after, length, next_length = unpack('<I4I4', lengths, next_length)
  call('APPEND', KEYS[index], sub(bytes, at, at + length - 1))
  at = at + length
end
call('SET', KEYS[2], ARGV[4])
return 1
`

type WriteArguments = Parameters<PartitionRedis['fencedWrite']>

/** Every write is accepted and reported to `noteWrite`. */
function withUnguardedWrite(
  redis: PartitionRedis,
  noteWrite: (progressKey: string, progress: string) => void,
): PartitionRedis {
  redis.defineCommand('unguardedWrite', { lua: UNGUARDED_WRITE })
  const unguarded = redis as PartitionRedis & { unguardedWrite: PartitionRedis['fencedWrite'] }
  redis.fencedWrite = async (...[keyCount, ...rest]: WriteArguments) => {
    const reply = await unguarded.unguardedWrite(keyCount, ...rest)
    noteWrite(String(rest[1]), String(rest[keyCount + 3]))
    return reply
  }
  return redis
}

/** Epochs claimed by this process, by key. */
function claimedEpochs(redis: PartitionRedis): ReadonlyMap<string, string> {
  const claimed = new Map<string, string>()
  const claimPartition = redis.claimPartition.bind(redis)
  redis.claimPartition = async (key, ended, epoch, isAgain) => {
    const reply = await claimPartition(key, ended, epoch, isAgain)
    if (reply === 1) claimed.set(key, String(epoch))
    return reply
  }
  return claimed
}

/** Changes the values that a session reads: epoch and progress are the first two, and other keys are passed through. */
function changeReads(
  redis: PartitionRedis,
  change: (keys: readonly string[], values: (Buffer | null)[]) => void,
): void {
  const read = redis.mgetBuffer.bind(redis) as (keys: string[]) => Promise<(Buffer | null)[]>
  const changed = async (keys: string[]): Promise<(Buffer | null)[]> => {
    const values = await read(keys)
    change(keys, values)
    return values
  }
  redis.mgetBuffer = changed as Redis['mgetBuffer']
}

/** A replaced owner continues: it takes its own epoch for the current one. */
function withoutFence(redis: PartitionRedis): PartitionRedis {
  const claimed = claimedEpochs(redis)
  changeReads(redis, ([epochKey = ''], values) => {
    const epoch = claimed.get(epochKey)
    if (epoch !== undefined && values[0] !== null) values[0] = Buffer.from(epoch)
  })
  return withUnguardedWrite(redis, () => undefined)
}

/** Takes the progress stored by this process for the progress in Redis, for every partition and caller. */
function withoutLossCheck(redis: PartitionRedis): PartitionRedis {
  const claimed = claimedEpochs(redis)
  const stored = new Map<string, string>()
  changeReads(redis, (keys, values) => {
    const epoch = claimed.get(keys[0] ?? '')
    if (epoch !== undefined) values[0] = Buffer.from(epoch)
    for (const [at, key] of keys.entries()) {
      const progress = stored.get(key)
      if (progress !== undefined) values[at] = Buffer.from(progress)
    }
  })
  const read = redis.mget.bind(redis) as (...keys: unknown[]) => Promise<(string | null)[]>
  const changed = async (...keys: unknown[]): Promise<(string | null)[]> => {
    const values = await read(...keys)
    return keys.flat().map((key, at) => stored.get(String(key)) ?? values[at] ?? null)
  }
  redis.mget = changed
  return withUnguardedWrite(redis, (progressKey, progress) => {
    stored.set(progressKey, progress)
  })
}

const GUARDS: Readonly<Record<Guard, Partial<ScorerAdapters>>> = {
  transactions: { openLog: withWriter(untransacted) },
  'dead-letters': { openLog: withWriter(withoutLetters) },
  'queue-limit': { openLog: withoutQueueLimit },
  'read-back': { openLog: withoutReadBack },
  fence: {
    openStore: (options) => openPartitionStore(options, withoutFence(openPartitionRedis(options))),
  },
  'loss-check': {
    openStore: (options) =>
      openPartitionStore(options, withoutLossCheck(openPartitionRedis(options))),
  },
}

const [guard = ''] = process.argv.slice(2)
assert(guard in GUARDS, `no guard of the scorer: ${guard}`)
process.exit(await runScorer(process.env, { ...SCORER_ADAPTERS, ...GUARDS[guard as Guard] }))
