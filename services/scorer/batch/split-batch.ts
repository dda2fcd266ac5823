// A micro-batch that is cut in two, since its late transactions look at more than is read at once.

import type { Taken } from '../intake/record-queue.ts'

type Cuttable = Pick<Taken, 'entries' | 'labels' | 'nextOffset'>

/** A batch in two; null for the second where it is not cut. */
export type Cut<Batch> = readonly [Batch, Batch | null]

/** The first part has this many of the entries, and all labels. What else a batch holds is the caller's to part. */
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

/** The same with all that was taken; what was rejected stays at its place among the entries. */
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
 * Does work on a batch in as many parts as it needs: `work` returns how many entries it has done of the part that it is
 * offered, the first ones; null ends it all. The next offer is at most twice as long, since it hardly has room for many
 * more, and is read as a whole.
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
