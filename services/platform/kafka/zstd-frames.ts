// Zstandard, by fzstd on every version of Node.
//
// fzstd allocates the window that a frame asks for, up to 2 GiB, before it reads a block. So the frames
// are measured first: windows, count of frames, and the size of each block.

import { Decompress } from 'fzstd'

/** Largest window of a frame, bytes. The format asks decoders to support 8 MiB. */
export const WINDOW_BYTES_MAX = 8 * 1024 * 1024

/** Kafka's clients write one frame per batch; each costs a window. */
const FRAMES_MAX = 16

const MAGIC = 0xfd2fb528
const SKIPPABLE_MAGIC_MIN = 0x184d2a50
const SKIPPABLE_MAGIC_MAX = 0x184d2a5f
const BLOCK_BYTES_MAX = 128 * 1024
const BLOCK_RUN = 1
const BLOCK_RESERVED = 3
const DICTIONARY_ID_BYTES = [0, 1, 2, 4] as const
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const

/**
 * The expanded bytes of one or more frames.
 * @throws Error when the bytes are damaged or would expand beyond the limit; the reason is in the message.
 */
export function decompressZstd(bytes: Buffer, expandedBytesMax: number): Buffer {
  checkFrames(bytes)
  return decompressInScript(bytes, expandedBytesMax)
}

/**
 * fzstd, block by block, so that it stops at the limit. Newer versions of Node have a decoder of their own, but it
 * reads the first frame only and says nothing of the others.
 */
function decompressInScript(bytes: Buffer, expandedBytesMax: number): Buffer {
  const blocks: Uint8Array[] = []
  let expandedBytes = 0
  const decoder = new Decompress((block) => {
    expandedBytes += block.length
    if (expandedBytes > expandedBytesMax)
      throw new Error(`It expands beyond ${expandedBytesMax} bytes.`)
    blocks.push(block)
  })
  decoder.push(bytes, true)
  return Buffer.concat(blocks, expandedBytes)
}

/**
 * Reads the headers of all frames and blocks, and expands nothing.
 * @throws Error when a frame is damaged, asks for too large a window, or there are too many.
 */
export function checkFrames(bytes: Buffer): void {
  let position = 0
  for (let frameCount = 0; position < bytes.length; frameCount += 1) {
    if (frameCount === FRAMES_MAX) throw new Error(`It has more than ${FRAMES_MAX} frames.`)
    const magic = bytes.readUInt32LE(position)
    if (magic === MAGIC) position = checkFrame(bytes, position)
    else if (magic >= SKIPPABLE_MAGIC_MIN && magic <= SKIPPABLE_MAGIC_MAX)
      position += 8 + bytes.readUInt32LE(position + 4)
    else throw new Error('This is no Zstandard frame.')
    if (position > bytes.length) throw new Error('A Zstandard frame is cut short.')
  }
}

/** Position after the frame that begins at `start`. */
function checkFrame(bytes: Buffer, start: number): number {
  const descriptor = bytes.readUInt8(start + 4)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const hasChecksum = (descriptor & 0x04) !== 0
  const sizeFlag = descriptor >>> 6
  const sizeBytes = sizeFlag === 0 && isSingleSegment ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] ?? 0)
  let position = start + 5
  let windowBytes = 0
  if (!isSingleSegment) {
    const code = bytes.readUInt8(position)
    const base = 2 ** (10 + (code >>> 3))
    windowBytes = base + (base / 8) * (code & 7)
    position += 1
  }
  position += DICTIONARY_ID_BYTES[descriptor & 3] ?? 0
  // A single segment is its own window, so its content size counts as one.
  if (isSingleSegment) windowBytes = readContentSize(bytes, position, sizeBytes)
  if (windowBytes > WINDOW_BYTES_MAX)
    throw new Error(`It asks for a window of ${windowBytes} bytes, more than ${WINDOW_BYTES_MAX}.`)
  position += sizeBytes
  for (let isLast = false; !isLast;) {
    const header = bytes.readUIntLE(position, 3)
    const type = (header >>> 1) & 3
    const blockBytes = header >>> 3
    if (type === BLOCK_RESERVED || blockBytes > BLOCK_BYTES_MAX)
      throw new Error('A Zstandard block is damaged.')
    position += 3 + (type === BLOCK_RUN ? 1 : blockBytes)
    isLast = (header & 1) !== 0
  }
  return position + (hasChecksum ? 4 : 0)
}

function readContentSize(bytes: Buffer, position: number, sizeBytes: number): number {
  switch (sizeBytes) {
    case 1:
      return bytes.readUInt8(position)
    case 2:
      return bytes.readUInt16LE(position) + 256
    case 4:
      return bytes.readUInt32LE(position)
    default:
      return Number(bytes.readBigUInt64LE(position))
  }
}
