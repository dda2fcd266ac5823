// Encodes the output of one micro-batch: alerts, leases, one decision batch, dead letters, and the offsets.

import { randomBytes } from 'node:crypto'
import { batchHashOf, DIGEST_SALT_BYTES } from '../../core/audit/batch-hash.ts'
import { FEATURE_COUNT, FEATURE_LIST_HASH } from '../../core/features/catalogue/feature-list.ts'
import { STATE } from '../../core/features/engine/feature-states.ts'
import type { PartitionPosition } from '../../core/features/engine/partition-fold.ts'
import type { RateTable } from '../../core/rates/rate-table.ts'
import { formatPosition, REDRIVEN_FROM_HEADER } from '../../core/redrive.ts'
import type { PartitionProgress } from '../../core/stream/partition-progress.ts'
import { traceHeadersOf, type MessageHeaders, type TraceHeaders } from '../../core/trace-context.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import { FETCHED_HEADER, type DecisionBatch } from '../../core/wire/records.ts'
import type { InputOffset, OutgoingMessage } from '../../platform/kafka/log-client.ts'
import type { BatchSpan } from '../../platform/tracing/open-tracing.ts'
import { encodeBlocks, offsetsOf } from './blocks-output.ts'
import type { Taken } from '../intake/record-queue.ts'
import type { DecideOptions } from '../decide/decide-options.ts'
import type { DecidedBatch } from '../batch/micro-batch.ts'

export interface OutputOptions {
  readonly codecs: Codecs
  readonly decide: DecideOptions
  readonly backend: string
  /** Converts the amounts of the batch. */
  readonly rates: RateTable
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

export interface EncodedOutput {
  readonly messages: readonly OutgoingMessage[]
  readonly offsets: readonly InputOffset[]
  /** Hash of the decision batch, base64; the next decision batch carries it. */
  readonly chainHash: string
}

/** Input of one batch and its decisions. */
interface BatchOutput {
  readonly taken: Taken
  readonly decided: DecidedBatch
  /** Per partition, the progress of its state when the batch was decided. */
  readonly progress: readonly (PartitionProgress | null)[]
  readonly position: PartitionPosition
  /** Hash of the previous decision batch, base64. */
  readonly previousHash: string
  readonly decidedAtMs: number
}

export function encodeOutput(
  batch: BatchOutput,
  options: OutputOptions,
  span: BatchSpan | null = null,
): EncodedOutput {
  const { taken, decided, position } = batch
  const { codecs, topics, decide } = options
  const { partition } = decide
  const block = blockOf(batch, options)
  const blockValue = codecs.decisionBatch.encode(block)
  const chainHash = batchHashOf(block).toString('base64')
  const ofDecisions = new Set(decided.alerts)
  const { published, leases, kept } = decided.blocks
  const output = encodeBlocks(published, leases, codecs, { partition, topics }, (alert) => {
    const headers = headersOf(taken.entries, alert.source.offset)
    // A revision caused by a lease comes much later and is not part of the payment's trace.
    const traced = ofDecisions.has(alert) ? span?.alertHeaders(alert.alertId, headers) : null
    return withHeaders(traced ?? traceHeadersOf(headers))
  })
  const letters = taken.rejected.map(({ letter, headers, redrivenFrom }) => ({
    topic: topics.deadLetters,
    partition,
    key: letter.topic,
    value: codecs.deadLetter.encode(letter),
    ...withHeaders({
      ...traceHeadersOf(headers),
      ...(redrivenFrom !== null && { [REDRIVEN_FROM_HEADER]: formatPosition(redrivenFrom) }),
    }),
  }))
  const decisions = {
    topic: topics.decisions,
    partition,
    key: String(partition),
    value: blockValue,
    // For `sluice trace`. A header, so that hash and replay of the decision batch do not depend on it.
    ...(taken.fetchedMs !== null && { headers: { [FETCHED_HEADER]: String(taken.fetchedMs) } }),
  }
  const messages = [decisions, ...output.alerts, ...output.leases, ...letters]
  return {
    messages,
    offsets: offsetsOf(partition, topics, taken, { position, chainHash }, kept),
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

/** No headers when there are none to send: they cost bytes in every message. */
function withHeaders(
  headers: (Partial<TraceHeaders> & Partial<Record<typeof REDRIVEN_FROM_HEADER, string>>) | null,
): { readonly headers?: Record<string, string> } {
  return headers === null || Object.keys(headers).length === 0 ? {} : { headers: { ...headers } }
}

function blockOf(
  { taken, decided, progress, previousHash, decidedAtMs }: BatchOutput,
  { decide, backend, rates, controlPosition }: OutputOptions,
): DecisionBatch {
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
    ratesDigest: rates.digest,
    controlPosition,
    frontier: progress.flatMap((other, index) =>
      other === null || index === partition
        ? []
        : [
            {
              partition: index,
              nextOffset: other.nextOffset,
              labelNextOffset: other.labelNextOffset,
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
