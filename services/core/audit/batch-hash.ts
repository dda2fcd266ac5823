// The hash of a decision batch. The next batch contains it, so each partition has a hash chain.
//
//   digest of a decision = SHA-256(salt, length of its JSON, its JSON, its feature row, its states)
//   hash of a batch      = SHA-256(length of the previous hash, that hash, SHA-256(header), digests in order)
//
// So a copy of a batch still verifies after the values of one card were erased: the digests stay, and without the salt a
// digest reveals nothing about its inputs.

import { createHash, hash as oneShot } from 'node:crypto'
import type { DecisionBatch, DecisionRecord } from '../wire/records.ts'

export const DIGEST_SALT_BYTES = 16

const DIGEST_TEXT = 'binary'
const LENGTH_BYTES = 4
const DOUBLE_BYTES = 8
const SCRATCH_BYTES = 4_096
/** UTF-8 bytes of one UTF-16 unit, at most. */
const MAX_BYTES_PER_UNIT = 3
/** Part of the header, so that another hash format can never give the same bytes a meaning. */
const FORM = 'sluice-decision-batch-1'

/** The hash of a batch. */
export function batchHashOf(block: DecisionBatch): Buffer {
  const { previousHash } = block
  const digests = digestTextsOf(block).join('')
  return createHash('sha256')
    .update(lengthOf(previousHash))
    .update(previousHash)
    .update(headerDigestOf(block))
    .update(digests, DIGEST_TEXT)
    .digest()
}

/** Digest of a batch's fields other than its decisions and the previous hash. */
function headerDigestOf(block: DecisionBatch): Buffer {
  const header = [
    FORM,
    block.streamId,
    block.partition,
    block.firstOffset,
    block.nextOffset,
    block.labelNextOffset,
    block.watermarks,
    block.alignment,
    block.mode,
    block.modelVersion,
    block.modelDigest,
    block.backend,
    block.policyDigest,
    block.policyVersion,
    block.featureListHash,
    block.ratesDigest,
    block.controlPosition,
    block.frontier.map((entry) => [entry.partition, entry.nextOffset, entry.labelNextOffset]),
    block.decidedAtMs,
    block.featureCount,
    block.decisions.length,
    block.deadLetterOffsets,
  ]
  return createHash('sha256').update(JSON.stringify(header)).digest()
}

/** One digest per decision, in order; for an erased decision, the digest that the batch has kept. */
export function digestsOf(block: DecisionBatch): readonly Uint8Array[] {
  return digestTextsOf(block).map((text) => Buffer.from(text, DIGEST_TEXT))
}

/** Digests as strings of one character per byte, which cost a third of buffers. Hot path. */
function digestTextsOf(block: DecisionBatch): readonly string[] {
  const { decisions, featureCount, featureStates, digestSalts } = block
  const erased = new Map(block.erased.map(({ index, digest }) => [index, digest]))
  const rows = rowsOf(block)
  const rowBytes = featureCount * DOUBLE_BYTES
  const scratch = new Scratch()
  return decisions.map((decision, index) => {
    const kept = erased.get(index)
    if (kept !== undefined) return Buffer.from(kept).toString(DIGEST_TEXT)
    scratch.clear()
    scratch.put(digestSalts.subarray(index * DIGEST_SALT_BYTES, (index + 1) * DIGEST_SALT_BYTES))
    scratch.putText(JSON.stringify(fieldsOf(decision)))
    scratch.put(rows.subarray(index * rowBytes, (index + 1) * rowBytes))
    if (featureStates !== null) {
      scratch.put(featureStates.subarray(index * featureCount, (index + 1) * featureCount))
    }
    return oneShot('sha256', scratch.bytes, DIGEST_TEXT)
  })
}

/**
 * Hashed bytes of one decision, collected in one reused buffer: one hash object per decision costs more than the hash.
 */
class Scratch {
  #bytes = Buffer.allocUnsafe(SCRATCH_BYTES)
  #length = 0

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  clear(): void {
    this.#length = 0
  }

  put(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** Its length in bytes, then its bytes. */
  putText(text: string): void {
    this.#reserve(LENGTH_BYTES + MAX_BYTES_PER_UNIT * text.length)
    const written = this.#bytes.write(text, this.#length + LENGTH_BYTES)
    this.#bytes.writeUInt32LE(written, this.#length)
    this.#length += LENGTH_BYTES + written
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(2 * (this.#length + bytes))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

/** Rows as they are hashed: every absent value is the same NaN, whatever computed it. */
function rowsOf({ features }: DecisionBatch): Uint8Array {
  const bytes = new Uint8Array(features)
  const values = new Float64Array(bytes.buffer, 0, Math.floor(bytes.length / DOUBLE_BYTES))
  for (let at = 0; at < values.length; at += 1) if (Number.isNaN(values[at])) values[at] = NaN
  return bytes
}

function fieldsOf(of: DecisionRecord): readonly unknown[] {
  return [
    of.offset,
    of.revision,
    of.transactionId,
    of.card,
    of.eventTimeMs,
    of.amountMinor,
    of.currency,
    of.outcome,
    of.score,
    of.notScored,
    of.duplicateOfOffset,
    of.annotations,
    of.reasons.map((reason) => [
      reason.feature,
      reason.value,
      reason.baseline,
      reason.scoreAtBaseline,
      reason.text,
    ]),
    of.entityAgeMs,
    of.causeOffset,
    of.segment,
    of.rules,
  ]
}

function lengthOf({ length }: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(LENGTH_BYTES)
  new DataView(bytes.buffer).setUint32(0, length, true)
  return bytes
}
