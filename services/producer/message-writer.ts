// Events to messages: encoded, keyed by card, in the partition that the card belongs to.

import { partitionOf } from '../core/murmur2.ts'
import type { Label, Transaction, Watermark } from '../core/transaction.ts'
import type { Sink, SinkMessage } from './kafka-sink.ts'
import { traceparentOf } from './traces.ts'
import type { ProducedEvent } from './watermarks.ts'

/** What the producer needs of the codecs. */
export interface ProducerCodecs {
  readonly transaction: { encode(value: Transaction): Buffer }
  readonly label: { encode(value: Label): Buffer }
  readonly watermark: { encode(value: Watermark): Buffer }
}

/**
 * Sends one event; a watermark goes to every partition of its topic. Of the transactions, a share of `traceRatio`
 * begins a trace. Hot path.
 */
export function writeEvent(
  event: ProducedEvent,
  timestampMs: number,
  codecs: ProducerCodecs,
  sink: Sink,
  traceRatio = 0,
): Promise<void> | undefined {
  switch (event.kind) {
    case 'transaction': {
      const { transaction } = event
      const value = codecs.transaction.encode(transaction)
      const message = keyed('transactions', transaction.card, value, timestampMs, sink)
      const traceparent = traceRatio === 0 ? null : traceparentOf(transaction.id, traceRatio)
      return sink.send(traceparent === null ? message : { ...message, traceparent })
    }
    case 'label': {
      const value = codecs.label.encode(event.label)
      return sink.send(keyed('labels', event.label.card, value, timestampMs, sink))
    }
    case 'watermark':
      return writeWatermark(event.topic, event.timeMs, timestampMs, codecs, sink)
  }
}

function keyed(
  topic: SinkMessage['topic'],
  card: string,
  value: Buffer,
  timestampMs: number,
  sink: Sink,
): SinkMessage {
  const key = Buffer.from(card)
  return { topic, partition: partitionOf(key, sink.partitionCount), key, value, timestampMs }
}

function writeWatermark(
  topic: SinkMessage['topic'],
  timeMs: number,
  timestampMs: number,
  codecs: ProducerCodecs,
  sink: Sink,
): Promise<void> | undefined {
  const value = codecs.watermark.encode({ timeMs })
  let room: Promise<void> | undefined
  for (let partition = 0; partition < sink.partitionCount; partition += 1) {
    room = sink.send({ topic, partition, key: null, value, timestampMs })
  }
  return room
}
