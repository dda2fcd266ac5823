// Maps a batch of fetched records to the messages of one transaction.

import type { RejectReason } from '../core/dead-letters.ts'
import { deadLetterOf } from '../core/dead-letters.ts'
import type { Mapped, MapMessage } from '../core/mapping/compile-mapping.ts'
import type { MappingFault } from '../core/mapping/mapping-fault.ts'
import { MappingRefusal } from '../core/mapping/mapping-refusal.ts'
import { boundedValue, type MessageDecoder } from '../core/mapping/message-decoder.ts'
import type { MappingInput } from '../core/mapping/message-path.ts'
import { partitionOfText } from '../core/murmur2.ts'
import type { MessageHeaders } from '../core/trace-context.ts'
import type { Codecs } from '../core/wire/codecs.ts'
import type { LogRecord, OutgoingMessage } from '../platform/kafka/log-client.ts'

/** Header of a dead letter: name, version and digest of the mapping that refused the message. */
const MAPPING_HEADER = 'sluice-mapping'

const TRACE_HEADERS = ['traceparent', 'tracestate'] as const
const HEADER_BYTES_MAX = 1_024

/** Names of the topics that a bridge writes, and the number of partitions of each. */
export interface BridgeOutput {
  readonly transactions: string
  readonly labels: string
  readonly deadLetters: string
  readonly partitionCount: number
  readonly deadLetterPartitionCount: number
}

export interface BatchMapperOptions {
  readonly map: MapMessage
  readonly decoder: MessageDecoder
  readonly codecs: Pick<Codecs, 'transaction' | 'label' | 'deadLetter'>
  readonly output: BridgeOutput
  /** Name, version and digest of the mapping. */
  readonly mapping: string
  readonly deadLetterHmacKey: string
  readonly nowMs: () => number
}

/** What a batch became. */
export interface BatchCounts {
  transactions: number
  labels: number
  skipped: number
  readonly refused: Map<MappingFault | RejectReason, number>
}

/** A mapped batch. */
export interface MappedBatch {
  readonly messages: readonly OutgoingMessage[]
  readonly counts: BatchCounts
  /** Time stamp of the last record, ms; null for no records. */
  readonly lastTimestampMs: number | null
}

/** A record as a mapping sees it; one object serves all records. */
export class RecordInput implements MappingInput {
  message: unknown = null
  topic = ''
  partition = 0
  offset = 0
  timestampMs = 0
  #record: LogRecord | null = null

  look(topic: string, partition: number, record: LogRecord): void {
    this.topic = topic
    this.partition = partition
    this.offset = record.offset
    this.timestampMs = record.timestampMs
    this.#record = record
  }

  get key(): string | null {
    return this.#record?.key?.toString() ?? null
  }

  get headers(): Readonly<Record<string, string>> {
    return textHeaders(this.#record?.headers)
  }
}

/** Maps batches; keeps nothing of one for the next. */
export class BatchMapper {
  readonly #options: BatchMapperOptions
  readonly #input = new RecordInput()

  constructor(options: BatchMapperOptions) {
    this.#options = options
  }

  /** Waits for what the records need; null when nothing is missing. */
  prepare(records: readonly LogRecord[], signal: AbortSignal): Promise<void> | null {
    return this.#options.decoder.prepare(
      records.map(({ value }) => value),
      signal,
    )
  }

  mapBatch(topic: string, partition: number, records: readonly LogRecord[]): MappedBatch {
    const messages: OutgoingMessage[] = []
    const counts: BatchCounts = { transactions: 0, labels: 0, skipped: 0, refused: new Map() }
    for (const record of records) {
      const mapped = this.mapRecord(topic, partition, record)
      if (mapped.kind === 'mapped') this.#write(mapped, record, messages, counts)
      else if (mapped.kind === 'skipped') counts.skipped += 1
      else {
        const { reason } = mapped
        counts.refused.set(reason, (counts.refused.get(reason) ?? 0) + 1)
        messages.push(this.#letter(topic, partition, record, mapped))
      }
    }
    return { messages, counts, lastTimestampMs: records.at(-1)?.timestampMs ?? null }
  }

  /** Decodes and maps one record. Never throws for a bad one. */
  mapRecord(topic: string, partition: number, record: LogRecord): Mapped {
    const input = this.#input
    input.look(topic, partition, record)
    try {
      if (record.refused !== null)
        throw new MappingRefusal(
          record.refused,
          null,
          'cannot be decompressed, or has too many headers',
        )
      input.message = this.#options.decoder.decode(boundedValue(record.value))
    } catch (error) {
      if (!(error instanceof MappingRefusal)) throw error
      const { reason, field, message: problem } = error
      return { kind: 'refused', reason, field, problem, rule: null }
    }
    return this.#options.map(input)
  }

  #write(
    { transaction, label }: Extract<Mapped, { kind: 'mapped' }>,
    record: LogRecord,
    messages: OutgoingMessage[],
    counts: BatchCounts,
  ): void {
    const { codecs, output } = this.#options
    if (transaction !== null) {
      const { card } = transaction
      const trace = traceHeaders(record.headers)
      messages.push({
        topic: output.transactions,
        partition: partitionOfText(card, output.partitionCount),
        key: card,
        value: codecs.transaction.encode(transaction),
        ...(trace === null ? {} : { headers: trace }),
      })
      counts.transactions += 1
    }
    if (label !== null) {
      const { card } = label
      messages.push({
        topic: output.labels,
        partition: partitionOfText(card, output.partitionCount),
        key: card,
        value: codecs.label.encode(label),
      })
      counts.labels += 1
    }
  }

  #letter(
    topic: string,
    partition: number,
    { offset, timestampMs, value }: LogRecord,
    { reason, field }: Extract<Mapped, { kind: 'refused' }>,
  ): OutgoingMessage {
    const { codecs, output, mapping, deadLetterHmacKey, nowMs } = this.#options
    const raw = { topic, partition, offset, timestampMs, value }
    return {
      topic: output.deadLetters,
      partition: partitionOfText(topic, output.deadLetterPartitionCount),
      key: topic,
      value: codecs.deadLetter.encode(deadLetterOf(raw, reason, field, deadLetterHmacKey, nowMs())),
      headers: { [MAPPING_HEADER]: mapping },
    }
  }
}

const NO_HEADERS: Readonly<Record<string, string>> = {}

function textHeaders(headers: MessageHeaders | undefined): Readonly<Record<string, string>> {
  if (headers === undefined) return NO_HEADERS
  const texts: Record<string, string> = {}
  for (const name of Object.keys(headers)) {
    const text = textHeader(headers, name)
    if (text !== null) texts[name] = text
  }
  return texts
}

/** A header with one value; null otherwise. */
function textHeader(headers: MessageHeaders, name: string): string | null {
  const value = headers[name]
  if (value === undefined || Array.isArray(value) || value.length > HEADER_BYTES_MAX) return null
  return value.toString()
}

/** The trace of a message goes on in its transaction. */
function traceHeaders(headers: MessageHeaders | undefined): Record<string, string> | null {
  if (headers === undefined) return null
  const trace: Record<string, string> = {}
  for (const name of TRACE_HEADERS) {
    const text = textHeader(headers, name)
    if (text !== null) trace[name] = text
  }
  return 'traceparent' in trace ? trace : null
}
