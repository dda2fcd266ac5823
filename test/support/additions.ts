// Additions appended to a stored value, each encoded as a value of its own.

import type { ByteWriter } from '../../services/core/features/state/bytes.ts'
import type { CardHistory } from '../../services/core/features/state/card-history.ts'
import { writeCardAddition } from '../../services/core/features/state/card-codec.ts'
import { writeEntityAddition } from '../../services/core/features/state/entity-codec.ts'
import type { EntityPart } from '../../services/core/features/state/entity-part.ts'

/** Null when the whole value must be written. */
export function encodeCardAddition(card: CardHistory, writer: ByteWriter, day = 0): Buffer | null {
  return taken(writeCardAddition(card, writer, day), writer)
}

/** Null when the whole value must be written. */
export function encodeEntityAddition(part: EntityPart, writer: ByteWriter): Buffer | null {
  return taken(writeEntityAddition(part, writer, 0), writer)
}

function taken(length: number | null, writer: ByteWriter): Buffer | null {
  if (length === null) return null
  return length === 0 ? Buffer.alloc(0) : writer.take()
}
