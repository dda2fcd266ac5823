// The owner of a committed offset: the transactional id that committed it, in front of the offset's metadata. A later
// owner of the partition reads it, and ends the transaction that a dead one has left open.

import assert from 'node:assert/strict'

/** The broker's default limit for the metadata of one offset (`offset.metadata.max.bytes`). */
const METADATA_BYTES_MAX = 4_096
/** `@`, length of the owner in UTF-16 units, `:`, owner; then `;` and the metadata, unless that is null. */
const START = /^@(0|[1-9][0-9]{0,3}):/

/** Metadata for the broker. */
export function withOwner(transactionalId: string, metadata: string | null): string {
  const rest = metadata === null ? '' : `;${metadata}`
  const text = `@${transactionalId.length}:${transactionalId}${rest}`
  const bytes = Buffer.byteLength(text)
  assert(
    bytes <= METADATA_BYTES_MAX,
    `${bytes} bytes of offset metadata; a broker takes ${METADATA_BYTES_MAX}`,
  )
  return text
}

/**
 * Owner and metadata of a committed offset. Text without an owner was written by another client, and is all metadata.
 */
export function splitOwner(text: string | null): {
  readonly owner: string | null
  readonly metadata: string | null
} {
  const start = text === null ? null : START.exec(text)
  if (text === null || start === null) return { owner: null, metadata: text }
  const from = start[0].length
  const end = from + Number(start[1])
  const isWhole = end === text.length || (end < text.length && text[end] === ';')
  if (!isWhole) return { owner: null, metadata: text }
  return {
    owner: text.slice(from, end),
    metadata: end === text.length ? null : text.slice(end + 1),
  }
}
