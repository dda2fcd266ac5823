// The auditor compares sent with published messages, and two streams with each other. It knows the promises and the
// record formats, and nothing of the scorer's implementation. It counts only messages read by its own client.

import { batchHashOf } from '../../services/core/audit/batch-hash.ts'
import { alertIdOf } from '../../services/core/decision/decide.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import type { Alert, DecisionBatch } from '../../services/core/wire/records.ts'
import { readCommitted, type AuditedMessage } from './auditor.ts'
import { OUTPUT_TOPICS, Outputs, type SeenBatch } from './outputs.ts'
import { PARTITION_COUNT, type Sent, type TestStream } from './streams.ts'

export interface Fault {
  readonly promise: 'answered' | 'once' | 'chain' | 'alerts' | 'order' | 'reader'
  readonly text: string
}

/**
 * Every violation of P1, P2 or the hash chain in the outputs, and every difference to the messages that the services'
 * reader has seen; empty when there is none.
 */
export async function audit(stream: TestStream, seen: Outputs): Promise<readonly Fault[]> {
  const { prefix, brokers } = stream
  const topics = [...OUTPUT_TOPICS, 'labels' as const].map((topic) => topicName(prefix, topic))
  const labelsTopic = topicName(prefix, 'labels')
  const outputs = new Outputs(stream)
  const labels: AuditedMessage[] = []
  for (const message of await readCommitted(brokers, topics)) {
    const { topic, partition, key, value, offset } = message
    if (topic === labelsTopic) labels.push(message)
    else outputs.accept({ topic, partition, messages: [{ key, value, offset: String(offset) }] })
  }
  return [...outputFaults(stream, outputs, labels), ...readerFaults(outputs, seen)]
}

function outputFaults(
  stream: TestStream,
  outputs: Outputs,
  labels: readonly AuditedMessage[],
): readonly Fault[] {
  const faults: Fault[] = []
  for (let partition = 0; partition < PARTITION_COUNT; partition += 1) {
    faults.push(...answerFaults(stream, outputs, partition))
    faults.push(...chainFaults(batchesOf(outputs, partition), stream.sent[partition] ?? []))
    const ofPartition = labels.filter((label) => label.partition === partition)
    faults.push(...labelFaults(stream, outputs, partition, ofPartition))
  }
  faults.push(...alertFaults(stream, outputs))
  faults.push(...orderFaults(outputs))
  return faults
}

function batchesOf(outputs: Outputs, partition: number): readonly SeenBatch[] {
  return outputs.decisionBatches.filter((seen) => seen.partition === partition)
}

/** P1: each offset but a watermark's has one decision or one dead letter. */
function answerFaults(stream: TestStream, outputs: Outputs, partition: number): Fault[] {
  const counts = new Map<number, number>()
  const count = (offset: number): void => {
    counts.set(offset, (counts.get(offset) ?? 0) + 1)
  }
  const topic = topicName(stream.prefix, 'transactions')
  for (const { batch } of batchesOf(outputs, partition)) {
    for (const { offset, revision } of batch.decisions) if (revision === 0) count(offset)
  }
  for (const letter of outputs.deadLetters) {
    if (letter.topic === topic && letter.partition === partition) count(letter.offset)
  }
  const faults: Fault[] = []
  for (const [offset, sent] of (stream.sent[partition] ?? []).entries()) {
    const answers = counts.get(offset) ?? 0
    counts.delete(offset)
    if (answers === (sent === 'other' ? 1 : 0)) continue
    const text = `offset ${partition}/${offset} (${sent}) has ${answers} answers`
    faults.push({ promise: answers === 0 ? 'answered' : 'once', text })
  }
  for (const offset of counts.keys()) {
    faults.push({ promise: 'once', text: `offset ${partition}/${offset} was never sent` })
  }
  return faults
}

/** P1 of labels: a decision batch covers each one, once and in order; an unreadable one has one dead letter. */
function labelFaults(
  stream: TestStream,
  outputs: Outputs,
  partition: number,
  labels: readonly AuditedMessage[],
): Fault[] {
  const faults: Fault[] = []
  let nextOffset = 0
  for (const { batch } of batchesOf(outputs, partition)) {
    if (batch.labelNextOffset < nextOffset) {
      const text = `batch ${partition}/${batch.firstOffset} takes labels from ${batch.labelNextOffset} again`
      faults.push({ promise: 'once', text })
    }
    nextOffset = Math.max(nextOffset, batch.labelNextOffset)
  }
  const topic = topicName(stream.prefix, 'labels')
  const letters = new Map<number, number>()
  for (const letter of outputs.deadLetters) {
    if (letter.topic !== topic || letter.partition !== partition) continue
    letters.set(letter.offset, (letters.get(letter.offset) ?? 0) + 1)
  }
  for (const { offset, value } of labels) {
    const count = letters.get(offset) ?? 0
    letters.delete(offset)
    const isReadable = stream.codecs.decodeLabelMessage(value).kind !== 'reject'
    if (offset >= nextOffset) {
      faults.push({
        promise: 'answered',
        text: `label ${partition}/${offset} is in no decision batch`,
      })
    } else if (!isReadable && count === 0) {
      faults.push({ promise: 'answered', text: `label ${partition}/${offset} has no letter` })
    } else if (count > 1) {
      faults.push({ promise: 'once', text: `label ${partition}/${offset} has ${count} letters` })
    }
  }
  for (const offset of letters.keys()) {
    faults.push({ promise: 'once', text: `label ${partition}/${offset} was never sent` })
  }
  return faults
}

/** P5: first decisions of a card, and its alerts, are published in the order of its messages. */
function orderFaults({ decisionBatches, alerts }: Outputs): Fault[] {
  const faults: Fault[] = []
  const newest = new Map<string, number>()
  const follow = (what: string, card: string, partition: number, offset: number): void => {
    const before = newest.get(`${what} ${card}`) ?? -1
    newest.set(`${what} ${card}`, Math.max(before, offset))
    if (offset > before) return
    const text = `${what} of ${partition}/${offset} follows that of ${partition}/${before}, of the same card`
    faults.push({ promise: 'order', text })
  }
  for (const { batch, partition } of decisionBatches) {
    for (const { card, offset, revision } of batch.decisions) {
      if (revision === 0) follow('decision', card, partition, offset)
    }
  }
  for (const { card, source, revision } of alerts) {
    if (revision === 0) follow('alert', card, source.partition, source.offset)
  }
  return faults
}

/** Readers of the services must have seen the same messages. */
function readerFaults(read: Outputs, seen: Outputs): Fault[] {
  const kinds = ['decisionBatches', 'alerts', 'leases', 'deadLetters'] as const
  return kinds
    .filter((kind) => read[kind].length !== seen[kind].length)
    .map((kind) => ({
      promise: 'reader',
      text: `${read[kind].length} ${kind} are there, and ${seen[kind].length} were seen`,
    }))
}

/** Decision batches of a partition are contiguous, and each has the hash of the previous one. */
function chainFaults(batches: readonly SeenBatch[], sent: readonly Sent[]): Fault[] {
  const faults: Fault[] = []
  let previousHash = ''
  let nextOffset = 0
  for (const { batch, partition } of batches) {
    const place = `batch ${partition}/${batch.firstOffset}`
    if (Buffer.from(batch.previousHash).toString('hex') !== previousHash) {
      faults.push({ promise: 'chain', text: `${place} does not carry the hash before it` })
    }
    while (nextOffset < batch.firstOffset && sent[nextOffset] === 'control') nextOffset += 1
    if (batch.firstOffset !== nextOffset) {
      faults.push({ promise: 'chain', text: `${place} follows ${nextOffset}` })
    }
    if (batch.features.length !== batch.decisions.length * batch.featureCount * 8) {
      faults.push({ promise: 'chain', text: `${place} lacks feature rows` })
    }
    previousHash = batchHashOf(batch).toString('hex')
    nextOffset = batch.nextOffset
  }
  return faults
}

/** One alert for each decision to flag or block that is not a duplicate, and no other. */
function alertFaults({ prefix, streamId }: TestStream, outputs: Outputs): Fault[] {
  const topic = topicName(prefix, 'transactions')
  const expected = new Set<string>()
  for (const { batch, partition } of outputs.decisionBatches) {
    for (const { outcome, offset, duplicateOfOffset } of batch.decisions) {
      if (outcome === 'approve' || duplicateOfOffset !== null) continue
      expected.add(alertIdOf(streamId, topic, partition, offset))
    }
  }
  const faults: Fault[] = []
  for (const { alertId, source, revision } of outputs.alerts) {
    if (revision > 0 || expected.delete(alertId)) continue
    const text = `alert of ${source.partition}/${source.offset} is doubled or of no decision`
    faults.push({ promise: 'alerts', text })
  }
  faults.push(...revisionFaults(outputs.alerts))
  for (const alertId of expected) {
    faults.push({ promise: 'alerts', text: `alert ${alertId} is missing` })
  }
  return faults
}

/** Revisions of an alert count up, each once, and each supersedes the previous one. */
function revisionFaults(alerts: readonly Alert[]): Fault[] {
  const faults: Fault[] = []
  const last = new Map<string, Alert>()
  for (const alert of alerts) {
    const before = last.get(alert.alertId)
    last.set(alert.alertId, alert)
    if (alert.revision === 0 && before === undefined) continue
    if (before !== undefined && before.revision < alert.revision) {
      if (before.action !== 'block' || alert.supersedes === before.revision) continue
    }
    const { source, revision } = alert
    const text = `revision ${revision} of ${source.partition}/${source.offset} follows ${before?.revision ?? 'nothing'}`
    faults.push({ promise: 'alerts', text })
  }
  return faults
}

/** Each decision with everything that P3 covers, as text, by its position in the log: `partition/offset`. */
export function decisionsByPlace(outputs: Outputs): ReadonlyMap<string, string> {
  const byPlace = new Map<string, string>()
  for (const { batch, partition } of outputs.decisionBatches) {
    for (const [index, decision] of batch.decisions.entries()) {
      const covered = { ...decision, ...batchFieldsOf(batch), features: rowOf(batch, index) }
      byPlace.set(`${partition}/${decision.offset}`, JSON.stringify(covered))
    }
  }
  return byPlace
}

/**
 * Each revision of an alert with everything that P3 covers, as text. Its id and source name the stream, so they differ.
 */
export function alertsByPlace(outputs: Outputs): ReadonlyMap<string, string> {
  return new Map(
    outputs.alerts.map((alert) => {
      const { partition, offset, timestampMs } = alert.source
      const covered: Partial<Alert> & object = {
        ...alert,
        alertId: '',
        decidedAtMs: 0,
        source: { streamId: '', topic: '', partition, offset, timestampMs },
      }
      return [`${partition}/${offset}/${alert.revision}`, JSON.stringify(covered)]
    }),
  )
}

/** Positions at which two streams differ, with both texts; empty when they are equal. */
export function differences(
  expected: ReadonlyMap<string, string>,
  actual: ReadonlyMap<string, string>,
): readonly string[] {
  const places = new Set([...expected.keys(), ...actual.keys()])
  return [...places]
    .filter((place) => expected.get(place) !== actual.get(place))
    .map((place) => `${place}: ${expected.get(place) ?? 'none'} <> ${actual.get(place) ?? 'none'}`)
}

function batchFieldsOf(batch: DecisionBatch): Partial<DecisionBatch> {
  const { alignment, mode, modelVersion, modelDigest, backend } = batch
  const { policyDigest, featureListHash, ratesDigest, controlPosition, featureCount } = batch
  return {
    alignment,
    mode,
    modelVersion,
    modelDigest,
    backend,
    policyDigest,
    featureListHash,
    ratesDigest,
    controlPosition,
    featureCount,
  }
}

/** Bit for bit: NaNs with different bits are different, and so are -0 and 0. */
function rowOf(batch: DecisionBatch, index: number): string {
  const rowBytes = batch.featureCount * 8
  const row = batch.features.subarray(index * rowBytes, (index + 1) * rowBytes)
  return Buffer.from(row).toString('base64')
}
