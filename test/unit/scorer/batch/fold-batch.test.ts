// Goal: a partition that goes live after a replay is not affected by the replay's watermarks, not even by the final
// one. Method: the same transactions from a fresh position and from the one that a finished replay commits.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  PARTITION_START,
  type PartitionPosition,
} from '../../../../services/core/features/engine/partition-fold.ts'
import {
  decodeMetadata,
  encodeMetadata,
} from '../../../../services/core/stream/partition-progress.ts'
import type { Alignment } from '../../../../services/core/wire/records.ts'
import { END_OF_STREAM_MS } from '../../../../services/producer/watermarks.ts'
import { foldBatch, type PartitionEntry } from '../../../../services/scorer/batch/fold-batch.ts'
import { simulate } from '../../../../tools/simulator/simulate.ts'
import { openFold } from '../../../support/fold-entries.ts'
import { PlainState } from '../../../support/plain-state.ts'

const TRANSACTIONS = 300

function someEntries(): readonly PartitionEntry[] {
  const entries: PartitionEntry[] = []
  const crowd = { cards: 40, terminals: 10, merchants: 8, fraudShare: 0.03 }
  for (const event of simulate({ seed: 7, ...crowd, transactionsMax: TRANSACTIONS })) {
    if (event.kind !== 'transaction') continue
    const { transaction } = event
    const timestampMs = transaction.eventTimeMs
    entries.push({ kind: 'transaction', offset: entries.length, timestampMs, transaction })
  }
  return entries
}

/** Applies entries from a position that was committed as metadata. */
function foldFrom(
  left: PartitionPosition,
  entries: readonly PartitionEntry[],
  alignment: Alignment,
) {
  const metadata = decodeMetadata(encodeMetadata({ position: left, chainHash: '' }))
  ok(metadata !== null)
  const fold = openFold(metadata.position)
  const { rows, features } = foldBatch(
    { labels: [], entries, labelNextOffset: 0 },
    fold,
    new PlainState(),
    alignment,
  )
  const late = rows.filter(({ folded }) => folded.annotations.includes('after_watermark'))
  return { features, late: late.length, position: fold.position }
}

test('live, the watermark that ends a replay makes nothing late and is not committed again', () => {
  const entries = someEntries()
  strictEqual(entries.length, TRANSACTIONS)
  const ended = {
    ...PARTITION_START,
    watermarkMs: END_OF_STREAM_MS,
    labelWatermarkMs: END_OF_STREAM_MS,
  }
  const fresh = foldFrom(PARTITION_START, entries, 'live')
  const after = foldFrom(ended, entries, 'live')
  strictEqual(after.late, 0)
  deepStrictEqual(after.features, fresh.features)
  deepStrictEqual(after.position, fresh.position)
  // Control: aligned, the same position makes all of them late.
  strictEqual(foldFrom(ended, entries, 'aligned').late, TRANSACTIONS)
})
