// What one micro-batch publishes, encoded: alerts, leases, one decision block, dead letters, and the offsets.

import { randomBytes } from 'node:crypto'
import { blockHashOf, DIGEST_SALT_BYTES } from '../core/audit/block-hash.ts'
import { FEATURE_COUNT, FEATURE_LIST_HASH } from '../core/features/feature-list.ts'
import { STATE } from '../core/features/feature-states.ts'
import type { LanePosition } from '../core/features/lane-fold.ts'
import { formatPosition, REDRIVEN_FROM_HEADER } from '../core/redrive.ts'
import { encodeMetadata, type LaneProgress } from '../core/stream/lane-progress.ts'
import { traceHeadersOf, type MessageHeaders, type TraceHeaders } from '../core/trace-context.ts'
import type { Codecs } from '../core/wire/codecs.ts'
import type { Alert, DecisionBlock, Lease } from '../core/wire/records.ts'
import type { InputOffset } from '../platform/kafka/lane-transactions.ts'
import type { BatchSpan } from '../platform/tracing/batch-tracer.ts'
import type { Taken } from './lane-inbox.ts'
import type { DecideOptions } from './decide-options.ts'
import type { DecidedBatch } from './micro-batch.ts'

export interface OutputOptions {
  readonly codecs: Codecs
  readonly decide: DecideOptions
  readonly backend: string
  /** Offset of the control message in force; null when none is. */
  readonly controlPosition: number | null
  readonly topics: {
    readonly transactions: string
    readonly labels: string
    readonly decisions: string
    readonly alerts: string
    readonly leases: string
    readonly deadLetters: string
  }
}

interface OutputMessage {
  readonly key: string
  readonly value: Buffer
  readonly partition?: number
  readonly headers?: Record<string, string>
}

export interface EncodedOutput {
  readonly messages: readonly { readonly topic: string; readonly messages: OutputMessage[] }[]
  readonly offsets: readonly InputOffset[]
  /** Hash of the block, base64: the next block carries it. */
  readonly chainHash: string
}

export function encodeOutput(
  taken: Taken,
  decided: DecidedBatch,
  progress: readonly (LaneProgress | null)[],
  position: LanePosition,
  previousHash: string,
  decidedAtMs: number,
  options: OutputOptions,
  span: BatchSpan | null = null,
): EncodedOutput {
  const { codecs, topics, decide } = options
  const { partition } = decide
  const block = blockOf(taken, decided, progress, previousHash, decidedAtMs, options)
  const blockValue = codecs.decisionBlock.encode(block)
  const chainHash = blockHashOf(block, blockValue).toString('base64')
  // Alerts and leases are keyed by card; their topics have as many partitions as the input, so a card's are here.
  const traces = decided.alerts.map((alert) => {
    const headers = headersOf(taken.entries, alert.source.offset)
    return withHeaders(span?.alertHeaders(alert.alertId, headers) ?? traceHeadersOf(headers))
  })
  const alerts = decided.alerts.map((alert, index) => ({
    key: alert.card,
    value: codecs.alert.encode(alert),
    partition,
    ...traces[index],
  }))
  const leases = decided.alerts.flatMap((alert, index) => {
    const lease = leaseOf(alert)
    if (lease === null) return []
    return [{ key: alert.card, value: codecs.lease.encode(lease), partition, ...traces[index] }]
  })
  const letters = taken.rejected.map(({ letter, headers, redrivenFrom }) => ({
    key: letter.topic,
    value: codecs.deadLetter.encode(letter),
    ...withHeaders({
      ...traceHeadersOf(headers),
      ...(redrivenFrom !== null && { [REDRIVEN_FROM_HEADER]: formatPosition(redrivenFrom) }),
    }),
  }))
  const messages = [
    {
      topic: topics.decisions,
      messages: [{ key: String(partition), value: blockValue, partition }],
    },
    { topic: topics.alerts, messages: alerts },
    { topic: topics.leases, messages: leases },
    { topic: topics.deadLetters, messages: letters },
  ].filter((topic) => topic.messages.length > 0)
  return {
    messages,
    offsets: [
      {
        topic: topics.transactions,
        partition,
        offset: taken.nextOffset,
        metadata: encodeMetadata({ position, chainHash }),
      },
      { topic: topics.labels, partition, offset: taken.labelNextOffset, metadata: null },
    ],
    chainHash,
  }
}

/** Headers of the message at this offset. Entries are in offset order, and few of them become alerts. */
function headersOf(entries: Taken['entries'], offset: number): MessageHeaders | undefined {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((entries[middle]?.offset ?? Infinity) < offset) low = middle + 1
    else high = middle
  }
  const entry = entries[low]
  return entry?.offset === offset ? entry.headers : undefined
}

/** No headers at all where there is nothing to say: they cost bytes in every message. */
function withHeaders(
  headers: (Partial<TraceHeaders> & Partial<Record<typeof REDRIVEN_FROM_HEADER, string>>) | null,
): { readonly headers?: Record<string, string> } {
  return headers === null || Object.keys(headers).length === 0 ? {} : { headers: { ...headers } }
}

function blockOf(
  taken: Taken,
  decided: DecidedBatch,
  progress: readonly (LaneProgress | null)[],
  previousHash: string,
  decidedAtMs: number,
  { decide, backend, controlPosition }: OutputOptions,
): DecisionBlock {
  const { partition } = decide
  return {
    streamId: decide.streamId,
    partition,
    firstOffset: taken.firstOffset,
    nextOffset: taken.nextOffset,
    labelNextOffset: taken.labelNextOffset,
    watermarks: taken.entries.filter(({ kind }) => kind === 'watermark').length,
    alignment: decide.alignment,
    mode: decide.mode,
    modelVersion: decide.modelVersion,
    modelDigest: decide.modelDigest,
    backend,
    policyDigest: decide.policyDigest,
    policyVersion: decide.policyVersion,
    featureListHash: FEATURE_LIST_HASH,
    controlPosition,
    cut: progress.flatMap((lane, index) =>
      lane === null || index === partition
        ? []
        : [
            {
              partition: index,
              nextOffset: lane.nextOffset,
              labelNextOffset: lane.labelNextOffset,
            },
          ],
    ),
    previousHash: Buffer.from(previousHash, 'base64'),
    decidedAtMs,
    featureCount: FEATURE_COUNT,
    features: Buffer.from(
      decided.features.buffer,
      decided.features.byteOffset,
      decided.features.byteLength,
    ),
    featureStates: decided.states.some((state) => state > STATE.absent)
      ? Buffer.from(decided.states)
      : null,
    decisions: decided.decisions,
    deadLetterOffsets: taken.rejected
      .filter(({ topic }) => topic === 'transactions')
      .map(({ letter }) => letter.offset),
    digestSalts: randomBytes(decided.decisions.length * DIGEST_SALT_BYTES),
    erased: [],
  }
}

/** A revision that takes a block back ends its lease at its beginning. */
function leaseOf(alert: Alert): Lease | null {
  if (alert.action === 'release') {
    const { card, alertId, revision, eventTimeMs } = alert
    const ended = { grade: 'suspected', startMs: eventTimeMs, endMs: eventTimeMs } as const
    return {
      card,
      alertId,
      revision,
      ...ended,
      reason: 'a late transaction changed the decision',
      alert: null,
      releaseAtMs: null,
    }
  }
  if (alert.lease === null) return null
  return {
    card: alert.card,
    alertId: alert.alertId,
    revision: alert.revision,
    ...alert.lease,
    reason: alert.reasons[0]?.text ?? 'model score',
    alert: null,
    releaseAtMs: null,
  }
}
