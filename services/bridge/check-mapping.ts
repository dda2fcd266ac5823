// Tries a mapping on a sample of messages, from the topic or from a file with one message a line, and writes nothing.

import { maskCardNumbers } from '../core/card-numbers.ts'
import { SluiceError } from '../core/errors.ts'
import type { Mapped } from '../core/mapping/compile-mapping.ts'
import { boundedValue } from '../core/mapping/message-decoder.ts'
import { MappingRefusal } from '../core/mapping/mapping-refusal.ts'
import { linesOf } from '../platform/files/text-lines.ts'
import type { LogClient, LogRecord } from '../platform/kafka/log-client.ts'
import { openNativeLogClient } from '../platform/kafka/native/native-log-client.ts'
import type { Logger } from '../platform/log.ts'
import { openKafka } from '../platform/kafka/kafka-client.ts'
import { explainKafka, kafkaAway } from '../platform/kafka/kafka-failure.ts'
import { RecordInput } from './bridge-batch.ts'
import type { BridgeConfig } from './config.ts'
import { openMapping, type OpenedMapping } from './open-mapping.ts'

/** Characters of a message that are shown. */
const SHOWN_CHARACTERS_MAX = 600

export interface CheckOptions {
  readonly config: BridgeConfig
  readonly mappingFile: string
  /** One message a line; null reads the topic. */
  readonly sampleFile: string | null
  /** Messages of the sample: the first ones of a file, the newest ones of each partition of a topic. */
  readonly countMax: number
  readonly log: Logger
}

/** One message of the sample. */
export interface CheckedMessage {
  /** Line of the file, or partition and offset. */
  readonly place: string
  /** What came in, as JSON without card numbers, cut where it is long. */
  readonly input: string
  readonly mapped: Mapped
}

/** @throws SluiceError SLUICE_CONFIG_INVALID for the mapping, SLUICE_INPUT_INVALID for the file, or as the bridge for Kafka */
export async function* checkMapping(
  options: CheckOptions,
): AsyncGenerator<CheckedMessage, void, undefined> {
  const { config, mappingFile, log } = options
  const mapping = openMapping(mappingFile, config, (error) => {
    log.warn({ error }, "The team's schema registry has not answered; trying again.")
  })
  const checker = new Checker(mapping)
  const { topic } = mapping.document.source
  if (options.sampleFile !== null) {
    let line = 0
    for await (const text of linesOf(options.sampleFile, options.countMax)) {
      line += 1
      if (text.trim() !== '') yield await checker.check(`line ${line}`, recordOf(line, text))
    }
    return
  }
  if (topic === null)
    throw new SluiceError('SLUICE_USAGE', `${mappingFile} has no source.topic; give --file.`)
  for (const [partition, records] of await newestOf(options, topic))
    for (const record of records)
      yield await checker.check(`${topic}-${partition}@${record.offset}`, record, topic, partition)
}

class Checker {
  readonly #mapping: OpenedMapping
  readonly #input = new RecordInput()
  readonly #never = new AbortController()

  constructor(mapping: OpenedMapping) {
    this.#mapping = mapping
  }

  async check(
    place: string,
    record: LogRecord,
    topic = this.#mapping.document.source.topic ?? '',
    partition = 0,
  ): Promise<CheckedMessage> {
    const { decoder, map } = this.#mapping
    await decoder.prepare([record.value], this.#never.signal)
    const input = this.#input
    input.look(topic, partition, record)
    try {
      input.message = decoder.decode(boundedValue(record.value))
    } catch (error) {
      if (!(error instanceof MappingRefusal)) throw error
      const { reason, field, message: problem } = error
      const mapped: Mapped = { kind: 'refused', reason, field, problem, rule: null }
      return { place, input: shown(record.value?.toString() ?? 'nothing'), mapped }
    }
    return { place, input: shown(jsonOf(input.message)), mapped: map(input) }
  }
}

function jsonOf(message: unknown): string {
  return JSON.stringify(message, (_, value: unknown) =>
    typeof value === 'bigint' ? String(value) : value,
  )
}

function shown(text: string): string {
  const safe = maskCardNumbers(text)
  return safe.length <= SHOWN_CHARACTERS_MAX ? safe : `${safe.slice(0, SHOWN_CHARACTERS_MAX)}...`
}

function recordOf(line: number, text: string): LogRecord {
  const value = Buffer.from(text)
  return {
    offset: line,
    timestampMs: Date.now(),
    key: null,
    value,
    headers: undefined,
    refused: null,
  }
}

/** The newest records of each partition. Joins no group, and moves no offset. */
async function newestOf(
  { config, log, countMax }: CheckOptions,
  topic: string,
): Promise<ReadonlyMap<number, readonly LogRecord[]>> {
  const client: LogClient = openNativeLogClient({
    connection: config,
    log,
    clientId: 'sluice-bridge-check',
    groupId: 'sluice-bridge-check',
    topics: [topic],
    sessionTimeoutMs: config.sessionTimeoutMs,
    instanceId: null,
    transactionalIdPrefix: 'sluice-bridge-check-',
    onRecords: () => undefined,
    onFault: () => undefined,
  })
  try {
    const newest = new Map<number, readonly LogRecord[]>()
    for (const partition of await partitionsOf(config, log, topic)) {
      const { low, high } = await client.readEnds(topic, partition)
      const records: LogRecord[] = []
      const range = { topic, partition, from: Math.max(low, high - countMax), to: high }
      const take = (read: readonly LogRecord[]): Promise<void> => {
        records.push(...read)
        return Promise.resolve()
      }
      if (range.from < high) await client.readRange(range, take, null)
      newest.set(partition, records)
    }
    return newest
  } catch (error) {
    throw (await explainKafka(config, error)) ?? kafkaAway(config, error) ?? error
  } finally {
    await client.close()
  }
}

async function partitionsOf(
  config: BridgeConfig,
  log: Logger,
  topic: string,
): Promise<readonly number[]> {
  const admin = openKafka(
    config,
    { clientId: 'sluice-bridge-check', retry: { retries: 3 } },
    log,
  ).admin()
  try {
    await admin.connect()
    if (!(await admin.listTopics()).includes(topic)) {
      throw new SluiceError(
        'SLUICE_TOPICS_INVALID',
        `There is no topic ${topic}; correct source.topic.`,
      )
    }
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
    return (topics[0]?.partitions ?? []).map(({ partitionId }) => partitionId).sort((a, b) => a - b)
  } catch (error) {
    throw (await explainKafka(config, error)) ?? kafkaAway(config, error) ?? error
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}
