// A refusal names the field and the problem, and never repeats a value, which may be a card number.

import type { RejectReason } from '../dead-letters.ts'
import type { MappingFault } from './mapping-fault.ts'

/** A message that cannot be mapped. It never leaves the code of mappings: `map` returns it as a result. */
export class MappingRefusal extends Error {
  readonly reason: MappingFault | RejectReason
  readonly field: string | null

  /** `problem` is for people, and holds nothing of the message. */
  constructor(reason: MappingFault | RejectReason, field: string | null, problem: string) {
    super(problem)
    this.name = 'MappingRefusal'
    this.reason = reason
    this.field = field
  }
}
