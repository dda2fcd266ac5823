import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { parseTraceparent } from '../../../services/core/trace-context.ts'
import {
  type ProducerCodecs,
  type Sink,
  type SinkMessage,
  traceparentOf,
  writeEvent,
} from '../../../services/producer/kafka-sink.ts'
import { minimalTransaction } from '../core/wire/samples.ts'

const codecs: ProducerCodecs = {
  transaction: { encode: () => Buffer.of(1) },
  label: { encode: () => Buffer.of(2) },
  watermark: { encode: () => Buffer.of(3) },
}

test('a share of the transactions starts a trace, the same ones each time, with their own ids', () => {
  const ids = Array.from({ length: 5_000 }, (_, index) => `tx-${index}`)
  const traced = ids.flatMap((id) => traceparentOf(id, 0.1) ?? [])
  ok(traced.length > 400 && traced.length < 600, String(traced.length))
  deepStrictEqual(
    traced,
    ids.flatMap((id) => traceparentOf(id, 0.1) ?? []),
  )
  strictEqual(new Set(traced).size, traced.length)
  ok(traced.every((text) => parseTraceparent(text)?.isSampled === true))
})

test('without a ratio no message has a trace; with one, transactions have and watermarks have not', () => {
  const sent: SinkMessage[] = []
  const sink: Sink = {
    partitionCount: 2,
    acknowledgedCount: 0,
    send: (message) => {
      sent.push(message)
      return undefined
    },
    close: () => Promise.resolve(),
  }
  const transaction = {
    kind: 'transaction',
    transaction: minimalTransaction,
    fraudPattern: null,
  } as const
  void writeEvent(transaction, 0, codecs, sink)
  void writeEvent(transaction, 0, codecs, sink, 1)
  void writeEvent({ kind: 'watermark', topic: 'transactions', timeMs: 0 }, 0, codecs, sink, 1)
  deepStrictEqual(
    sent.map(({ traceparent }) => traceparent),
    [undefined, traceparentOf(minimalTransaction.id, 1) ?? '', undefined, undefined],
  )
})
