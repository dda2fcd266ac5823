// Record batches as they are when nothing compresses them.

import {
  encodeRecords,
  sealBatch,
  type BatchProducer,
  type OutgoingRecord,
} from '../../services/platform/kafka/native/record-batch.ts'

/** One uncompressed batch with its checksum. */
export function encodeRecordBatch(
  records: readonly OutgoingRecord[],
  producer: BatchProducer | null,
  nowMs: number,
): Buffer {
  return sealBatch(encodeRecords(records, nowMs), producer)
}
