// Reads the stored forms of a card's history; card-layouts.ts says what they are.

import { SluiceError } from '../../errors.ts'
import type { ByteReader } from './bytes.ts'
import {
  COLUMN,
  COUNTRY_BIT,
  emptyBucket,
  FLAG,
  INTENT_BIT,
  REFERENCE_COLUMNS,
  SETTLED_OFFSET,
  STRIDE_NARROW,
  UTC_OFFSET_BIT,
} from './card-columns.ts'
import { CardHistory } from './card-history.ts'
import { CARD_LAYOUTS, isInParts } from './card-layouts.ts'
import { layoutOf, unseal, unsealParts } from './sealed.ts'
import { BUCKET_MS } from '../catalogue/time.ts'

const REFERENCED = Object.values(REFERENCE_COLUMNS)

/** More than any rule keeps: a larger number is corruption, found before anything is allocated. */
const COUNT_MAX = 65_536

/** Reads a stored value of any layout; null is a card without history. @throws SluiceError SLUICE_STATE_CORRUPT */
export function decodeCard(value: Buffer | null): CardHistory {
  const history = new CardHistory()
  if (value === null) return history
  const layout = layoutOf(value, CARD_LAYOUTS)
  if (!isInParts(layout)) readWhole(history, layout, unseal(value, CARD_LAYOUTS).reader)
  else {
    for (const [index, reader] of unsealParts(value).entries()) {
      if (index === 0) readWhole(history, layout, reader)
      else readAddition(history, layout, reader)
    }
  }
  history.isByOffset = isByOffset(history)
  return history
}

function readWhole(history: CardHistory, layout: number, reader: ByteReader): void {
  const columns = reader.varint()
  if ((columns & ~INTENT_BIT) !== 0) history.widen()
  history.settledCount = countOf(reader)
  readEvents(history, layout, columns, history.settledCount, 'settled', reader)
  if (layout >= 3) readReferences(history, reader)
  readBuckets(history, reader)
  readEvents(history, layout, columns, countOf(reader), 'others', reader)
  history.usedColumns = columns
  readRecords(history, reader)
  readCauses(history, reader)
  if (layout >= 3) checkReferences(history)
  checkEnd(reader)
}

function readAddition(history: CardHistory, layout: number, reader: ByteReader): void {
  const columns = reader.varint()
  if ((columns & ~INTENT_BIT) !== 0) history.widen()
  readReferences(history, reader)
  readEvents(history, layout, columns, countOf(reader), 'added', reader)
  history.usedColumns |= columns
  readRecords(history, reader)
  checkReferences(history)
  checkEnd(reader)
}

function readReferences(history: CardHistory, reader: ByteReader): void {
  for (let left = countOf(reader); left > 0; left -= 1) {
    history.ownReferences.push(reader.uint48())
  }
}

function checkEnd(reader: ByteReader): void {
  if (reader.isAtEnd) return
  throw new SluiceError('SLUICE_STATE_CORRUPT', 'A stored card has bytes after its content.')
}

function readBuckets(history: CardHistory, reader: ByteReader): void {
  let hour = 0
  for (let left = countOf(reader); left > 0; left -= 1) {
    hour += reader.varint()
    const bucket = emptyBucket(hour * BUCKET_MS)
    bucket.attempts = reader.varint()
    bucket.count = reader.varint()
    if (bucket.count > 0) {
      bucket.sumMinor = reader.varint()
      bucket.squares.add(reader.varint(), reader.varint())
      bucket.minimumMinor = reader.varint()
      bucket.maximumMinor = bucket.minimumMinor + reader.varint()
    }
    history.ownBuckets.push(bucket)
  }
}

/** Hot path. */
function readEvents(
  history: CardHistory,
  layout: number,
  columns: number,
  count: number,
  which: 'settled' | 'others' | 'added',
  reader: ByteReader,
): void {
  reserve(history, count)
  const last = which === 'added' ? history.count - 1 : -1
  let timeMs = history.at(last, COLUMN.time)
  let offset = history.at(last, COLUMN.offset)
  for (let index = 0; index < count; index += 1) {
    timeMs += reader.varint()
    const amountMinor = reader.varint()
    const flags = reader.byte()
    // A place is no column of its own, so the first one comes as a surprise.
    if ((flags & FLAG.place) !== 0 && history.stride === STRIDE_NARROW) {
      history.count += index
      history.widen()
      history.count -= index
      reserve(history, count)
    }
    const { data, stride } = history
    const base = (history.count + index) * stride
    data[base] = timeMs
    data[base + COLUMN.amount] = amountMinor
    data[base + COLUMN.flags] = flags
    if (stride !== STRIDE_NARROW) readMore(history, base, layout, columns, reader)
    if (which === 'settled') {
      data[base + COLUMN.offset] = SETTLED_OFFSET
      data[base + COLUMN.id] = reader.byte()
      continue
    }
    offset += reader.zigzag()
    data[base + COLUMN.offset] = offset
    data[base + COLUMN.id] = reader.uint48()
    if ((columns & INTENT_BIT) !== 0) data[base + COLUMN.intent] = reader.uint48()
  }
  history.count += count
}

/** Columns that only some cards have. Hot path. */
function readMore(
  history: CardHistory,
  base: number,
  layout: number,
  columns: number,
  reader: ByteReader,
): void {
  const { data } = history
  for (let bit = 0; bit < REFERENCED.length; bit += 1) {
    if ((columns & (1 << bit)) === 0) continue
    const stored = layout >= 3 ? reader.varint() : history.learn(reader.uint48())
    data[base + (REFERENCED[bit] ?? 0)] = stored
  }
  if ((columns & COUNTRY_BIT) !== 0) data[base + COLUMN.country] = reader.varint()
  if ((columns & UTC_OFFSET_BIT) !== 0) data[base + COLUMN.utcOffset] = reader.zigzag()
  if (((data[base + COLUMN.flags] ?? 0) & FLAG.place) !== 0) {
    data[base + COLUMN.latitude] = reader.zigzag()
    data[base + COLUMN.longitude] = reader.zigzag()
  }
}

/** Room for this many more events, and a few that will come. */
function reserve(history: CardHistory, count: number): void {
  const { data, stride } = history
  const needed = (history.count + count + 4) * stride
  if (data.length >= needed) return
  const larger = new Float64Array(needed)
  larger.set(data)
  history.data = larger
}

function isByOffset(history: CardHistory): boolean {
  for (let index = history.settledCount + 1; index < history.count; index += 1) {
    if (history.at(index, COLUMN.offset) < history.at(index - 1, COLUMN.offset)) return false
  }
  return true
}

function readRecords(history: CardHistory, reader: ByteReader): void {
  for (let left = countOf(reader); left > 0; left -= 1) {
    const place = countOf(reader)
    history.ownRecords.append(place, reader.view(countOf(reader)))
  }
}

function readCauses(history: CardHistory, reader: ByteReader): void {
  for (let left = countOf(reader); left > 0; left -= 1) {
    const offset = history.at(history.settledCount + reader.varint(), COLUMN.offset)
    const list: number[] = []
    let before = 0
    for (let more = countOf(reader); more > 0; more -= 1) {
      before += reader.varint()
      list.push(before)
    }
    history.setCauses(offset, list)
  }
}

function countOf(reader: ByteReader): number {
  const count = reader.varint()
  if (count <= COUNT_MAX) return count
  throw new SluiceError(
    'SLUICE_STATE_CORRUPT',
    `A stored value announces ${count} items; at most ${COUNT_MAX} are kept.`,
  )
}

function checkReferences({ data, count, stride, references }: CardHistory): void {
  if (stride === STRIDE_NARROW) return
  for (let base = 0; base < count * stride; base += stride) {
    for (const column of REFERENCED) {
      if ((data[base + column] ?? 0) < references.length) continue
      throw new SluiceError(
        'SLUICE_STATE_CORRUPT',
        'A stored event names no reference of its card.',
      )
    }
  }
}
