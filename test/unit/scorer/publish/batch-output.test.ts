// Goal: the trace of a transaction continues in its alert and lease, and transactions without an alert cost nothing.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import { PARTITION_START } from '../../../../services/core/features/engine/partition-fold.ts'
import { partitionOfText } from '../../../../services/core/murmur2.ts'
import type { CardLease } from '../../../../services/core/decision/leases.ts'
import type { Alert } from '../../../../services/core/wire/records.ts'
import type { BatchSpan } from '../../../../services/platform/tracing/open-tracing.ts'
import {
  encodeOutput,
  type OutputOptions,
} from '../../../../services/scorer/publish/batch-output.ts'
import { RecordQueue, type Taken } from '../../../../services/scorer/intake/record-queue.ts'
import type { DecidedBatch } from '../../../../services/scorer/batch/micro-batch.ts'
import { fullAlert, minimalLease, minimalTransaction } from '../../core/wire/samples.ts'
import { codecs } from '../../core/wire/wire-fixture.ts'

const PARTITION_COUNT = 4
const partition = partitionOfText(minimalTransaction.card, PARTITION_COUNT)
const nowMs = minimalTransaction.eventTimeMs + 1_000
const FETCHED_MS = nowMs + 7
const fetched = { 'sluice-fetched-ms': String(FETCHED_MS) }
const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
const topics = {
  transactions: 'transactions',
  labels: 'labels',
  decisions: 'decisions',
  alerts: 'alerts',
  leases: 'leases',
  deadLetters: 'dead-letters',
}

/** Headers that count how often they are read. */
function watched(looks: { count: number }) {
  const look = (): void => {
    looks.count += 1
  }
  return new Proxy<Record<string, Buffer>>(
    { traceparent: Buffer.from(traceparent) },
    {
      get: (target, key: string) => (look(), target[key]),
      has: (target, key) => (look(), key in target),
      ownKeys: (target) => (look(), Reflect.ownKeys(target)),
      getOwnPropertyDescriptor: (target, key) => (
        look(),
        Reflect.getOwnPropertyDescriptor(target, key)
      ),
    },
  )
}

/** Ten transactions, as taken from the queue. */
function takeTen(headers: Record<string, Buffer>): Taken {
  const inbox = new RecordQueue(
    {
      ...{ partition, partitionCount: PARTITION_COUNT, codecs, rates: DEFAULT_RATES },
      missingRate: 'dead_letter',
      ...{ transactionsTopic: 'transactions', labelsTopic: 'labels' },
      ...{ batchSizeMax: 16, alignment: 'live', eventAheadMsMax: 60_000, hmacKey: 'key' },
    },
    0,
    0,
  )
  const messages = Array.from({ length: 10 }, (_, offset) => ({
    key: null,
    value: codecs.transaction.encode({ ...minimalTransaction, id: `tx-${offset}` }),
    offset,
    timestampMs: nowMs,
    headers,
    refused: null,
  }))
  inbox.push('transactions', messages, FETCHED_MS)
  const taken = inbox.take(nowMs, -1, () => true)
  if (taken === null) throw new Error('Nothing was taken.')
  return taken
}

function leased(alert: Alert): [string, CardLease] {
  return [alert.card, { ...minimalLease, card: alert.card, alert }]
}

function encode(taken: Taken, alertOffsets: readonly number[], span: BatchSpan | null) {
  const alerts = alertOffsets.map((offset) => ({
    ...fullAlert,
    source: { ...fullAlert.source, offset },
  }))
  const decided = {
    decisions: [],
    features: new Float64Array(0),
    states: new Uint8Array(0),
    recomputed: 0,
    alerts,
    blocks: { published: alerts, leases: new Map(alerts.map(leased)), kept: null },
  } as unknown as DecidedBatch
  const decide = { streamId: 's', partition, mode: 'enforce', alignment: 'live' }
  const digests = { modelVersion: '1', modelDigest: 'm', policyDigest: 'p', policyVersion: 0 }
  const options = {
    codecs,
    topics,
    backend: 'cpu',
    rates: DEFAULT_RATES,
    decide: { ...decide, ...digests },
  }
  const output = encodeOutput(
    {
      taken,
      decided,
      progress: [],
      position: PARTITION_START,
      previousHash: '',
      decidedAtMs: nowMs,
    },
    options as unknown as OutputOptions,
    span,
  )
  return output.messages.map(({ topic, headers }) => [topic, headers] as const)
}

test('without an alert the headers of no message are looked at', () => {
  const looks = { count: 0 }
  deepStrictEqual(encode(takeTen(watched(looks)), [], null), [['decisions', fetched]])
  strictEqual(looks.count, 0)
})

test('an alert and its lease carry the headers of their transaction, and no other is looked at', () => {
  const looks = { count: 0 }
  const taken = takeTen({})
  const entries = taken.entries.map((entry) =>
    entry.kind === 'watermark'
      ? entry
      : { ...entry, headers: entry.offset === 7 ? { traceparent } : watched(looks) },
  )
  deepStrictEqual(encode({ ...taken, entries }, [7], null), [
    ['decisions', fetched],
    ['alerts', { traceparent }],
    ['leases', { traceparent }],
  ])
  strictEqual(looks.count, 0)
})

test('with a recorded batch an alert has the headers that its span gives, or else those of its transaction', () => {
  const own = '00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01'
  let asked = 0
  const span: BatchSpan = {
    alertHeaders: () => {
      asked += 1
      return asked === 1 ? { traceparent: own } : null
    },
    end: () => undefined,
    fail: () => undefined,
  }
  const headers = { traceparent: Buffer.from(traceparent) }
  deepStrictEqual(
    encode(takeTen(headers), [2, 9], span).filter(([topic]) => topic === 'alerts'),
    [
      ['alerts', { traceparent: own }],
      ['alerts', { traceparent }],
    ],
  )
  strictEqual(asked, 2)
})

test('a decision batch without transactions says no time at which they were fetched', () => {
  const taken = { ...takeTen({}), entries: [], fetchedMs: null }
  deepStrictEqual(encode(taken, [], null), [['decisions', undefined]])
})
