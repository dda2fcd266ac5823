// Splits a micro-batch in two when its late transactions need more values than one read may hold.

import type { Taken } from '../intake/record-queue.ts'

type Cuttable = Pick<Taken, 'entries' | 'labels' | 'nextOffset'>

/** A batch in two halves; the second is null when the batch is not split. */
export type Cut<Batch> = readonly [Batch, Batch | null]

/** The first half has this many of the entries, and all labels. The caller splits the other fields. */
export function frontierAfter<Batch extends Cuttable>(
  batch: Batch,
  entryCount: number,
): Cut<Batch> {
  const next = batch.entries[entryCount]
  if (next === undefined) return [batch, null]
  return [
    { ...batch, entries: batch.entries.slice(0, entryCount), nextOffset: next.offset },
    { ...batch, entries: batch.entries.slice(entryCount), labels: [] },
  ]
}

/** As `frontierAfter`, for a whole `Taken`. A rejected message goes to the half that holds its offset. */
export function frontierTakenAfter(taken: Taken, entryCount: number): Cut<Taken> {
  const [first, rest] = frontierAfter(taken, entryCount)
  if (rest === null) return [first, null]
  const { nextOffset } = first
  const isFirst = ({ topic, letter }: Taken['rejected'][number]): boolean =>
    topic === 'labels' || letter.offset < nextOffset
  const waiting = rest.entries.find((entry) => entry.kind === 'transaction')
  return [
    { ...first, rejected: taken.rejected.filter(isFirst) },
    {
      ...rest,
      rejected: taken.rejected.filter((each) => !isFirst(each)),
      firstOffset: nextOffset,
      oldestTimestampMs: waiting?.timestampMs ?? taken.oldestTimestampMs,
    },
  ]
}

/**
 * Processes a batch in as many parts as it needs. `work` receives a part and returns how many of its first entries it
 * has done; null ends the loop. The next part is at most twice that long: a longer one would hardly fit, and each part
 * is read as a whole.
 */
export async function inParts<Batch extends Cuttable>(
  batch: Batch,
  frontier: (batch: Batch, entryCount: number) => Cut<Batch>,
  work: (part: Batch) => Promise<number | null>,
): Promise<void> {
  let left: Batch | null = batch
  let sizeMax = batch.entries.length
  while (left !== null) {
    const [part]: Cut<Batch> = frontier(left, sizeMax)
    const entryCount = await work(part)
    if (entryCount === null) return
    left = frontier(left, entryCount)[1]
    sizeMax = 2 * entryCount
  }
}
