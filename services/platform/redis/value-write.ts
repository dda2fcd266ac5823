// Values of one write as the script of a fenced write reads them: keys, lengths, and all bytes in one argument. One
// argument per value would cost the client more than encoding it.

import { forEachPrefetched } from '../../core/features/state/prefetch.ts'
import { DAY_MS } from '../../core/features/catalogue/time.ts'
import { entityName, type PartitionKeys } from './keys.ts'
import type { Snapshot } from './partition-snapshot.ts'
import type { CommittedFrontier } from './partition-store-contract.ts'
import type { StateCodec } from './state-codec.ts'

/** Little-endian, as the script reads them. */
const LENGTH_BYTES = 4

export interface ValueWrite {
  /** Keys of values that are written whole or removed, and of those that are appended to. */
  readonly wholeKeys: string[]
  readonly addedKeys: string[]
  /** 0 removes the value. */
  readonly wholeLengths: number[]
  /** Per addition: length of the stored value after it, which the script verifies, and its own length. */
  readonly addedLengths: number[]
}

/**
 * Encodes the new part of each value, or the whole value after compacting its committed events; encodes changed pages
 * of messages; removes pages that are no longer needed. The codec has the bytes.
 */
export function encodeWrite(
  snapshot: Pick<Snapshot, 'cards' | 'parts' | 'messages'>,
  codec: StateCodec,
  partition: PartitionKeys,
  generation: number,
  committed: CommittedFrontier,
): ValueWrite {
  const { cards, parts, messages } = snapshot
  const day = Math.floor(Date.now() / DAY_MS)
  const write: ValueWrite = { wholeKeys: [], addedKeys: [], wholeLengths: [], addedLengths: [] }
  const cardAt = (index: number) => cards.valueAt(index)
  forEachPrefetched(cards.changed, cardAt, (history, index) => {
    const added = codec.encodeAddition(history, day)
    if (added === 0) return
    const key = partition.card(generation, cards.idAt(index))
    if (added !== null) noteAddition(write, key, history.stored.bytes, added)
    else {
      history.compact(committed.nextOffset)
      noteWhole(write, key, codec.encode(history, day))
    }
  })
  const partAt = (index: number) => parts.valueAt(index)
  forEachPrefetched(parts.changed, partAt, (part, index) => {
    const added = codec.encodeAddition(part, day)
    if (added === 0) return
    const key = partition.entity(generation, entityName(parts.idAt(index)))
    if (added !== null) noteAddition(write, key, part.stored.bytes, added)
    else {
      part.compact(committed)
      noteWhole(write, key, codec.encode(part, day))
    }
  })
  const { changed, dropped } = messages.takeWrite(committed.newestEventMs)
  for (const page of changed) {
    noteWhole(write, partition.messages(generation, page.index), codec.encodePage(page))
  }
  for (const page of dropped) {
    noteWhole(write, partition.messages(generation, page), 0)
  }
  return write
}

function noteWhole(write: ValueWrite, key: string, length: number): void {
  write.wholeKeys.push(key)
  write.wholeLengths.push(length)
}

function noteAddition(write: ValueWrite, key: string, lengthAfter: number, length: number): void {
  write.addedKeys.push(key)
  write.addedLengths.push(lengthAfter, length)
}

/** All lengths, as 32 bits each. */
export function packLengths({ wholeLengths, addedLengths }: ValueWrite): Buffer {
  const packed = Buffer.allocUnsafe(LENGTH_BYTES * (wholeLengths.length + addedLengths.length))
  let at = 0
  for (const length of wholeLengths) at = packed.writeUInt32LE(length, at)
  for (const length of addedLengths) at = packed.writeUInt32LE(length, at)
  return packed
}
