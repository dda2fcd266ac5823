// Decodes Snappy as Kafka's clients write it: the Java client wraps blocks in a small container (from the snappy-java
// library), librdkafka and others write one raw block. Every block begins with its expanded length, so the limit is
// checked before anything is expanded.

import snappy from 'snappyjs'

/** Container: a magic of eight bytes, then two version numbers of four bytes. */
const CONTAINER_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0])
const CONTAINER_HEADER_BYTES = 16
const BLOCK_HEADER_BYTES = 4

/**
 * The expanded bytes.
 * @throws Error when the bytes are damaged or would expand beyond the limit; the reason is in the message.
 */
export function decompressSnappy(bytes: Buffer, expandedBytesMax: number): Buffer {
  const isContainer = bytes.subarray(0, CONTAINER_MAGIC.length).equals(CONTAINER_MAGIC)
  if (!isContainer) return snappy.uncompress(bytes, expandedBytesMax)
  const blocks: Buffer[] = []
  let expandedBytes = 0
  let position = CONTAINER_HEADER_BYTES
  while (position < bytes.length) {
    const start = position + BLOCK_HEADER_BYTES
    // Throws at the end of the bytes.
    const end = start + bytes.readUInt32BE(position)
    if (end > bytes.length) throw new Error('A snappy block is cut short.')
    const block = snappy.uncompress(bytes.subarray(start, end), expandedBytesMax - expandedBytes)
    expandedBytes += block.length
    blocks.push(block)
    position = end
  }
  return Buffer.concat(blocks, expandedBytes)
}
