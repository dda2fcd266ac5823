// Shared by the wire's tests: the released codecs, each with its sample values.

import type { Codec } from '../../../../services/core/wire/codec.ts'
import { type Codecs, createCodecs } from '../../../../services/core/wire/codecs.ts'
import type { Subject } from '../../../../services/core/wire/schema-registry.ts'
import { FileRegistry } from '../../../../services/platform/registry/file-registry.ts'
import * as samples from './samples.ts'

export const content = await new FileRegistry().load()
export const codecs: Codecs = createCodecs(content)

/** A codec with values of its subject. */
export interface SubjectCase {
  readonly subject: Subject
  readonly codec: Codec<unknown>
  readonly minimal: unknown
  readonly full: unknown
}

function caseOf<Value>(codec: Codec<Value>, minimal: Value, full: Value): SubjectCase {
  return { subject: codec.subject, codec, minimal, full }
}

/** One for every subject. */
export const subjectCases: readonly SubjectCase[] = [
  caseOf(codecs.transaction, samples.minimalTransaction, samples.fullTransaction),
  caseOf(codecs.label, samples.minimalLabel, samples.fullLabel),
  caseOf(codecs.watermark, samples.minimalWatermark, samples.fullWatermark),
  caseOf(codecs.decisionBatch, samples.minimalDecisionBatch, samples.fullDecisionBatch),
  caseOf(codecs.alert, samples.minimalAlert, samples.fullAlert),
  caseOf(codecs.lease, samples.minimalLease, samples.fullLease),
  caseOf(codecs.receipt, samples.minimalReceipt, samples.fullReceipt),
  caseOf(codecs.control, samples.minimalControl, samples.fullControl),
  caseOf(codecs.deadLetter, samples.minimalDeadLetter, samples.fullDeadLetter),
  caseOf(codecs.disposition, samples.minimalDisposition, samples.fullDisposition),
]

/** The parsed schema of a subject's only version. */
export function schemaOf(subject: Subject): unknown {
  const found = content.schemas.find((schema) => schema.subject === subject)
  if (found === undefined) throw new Error(`No schema of ${subject}.`)
  return found.schema
}

/** A generator of 32-bit numbers: the same seed gives the same numbers on every machine. */
export function seededNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) >>> 0
  }
}
