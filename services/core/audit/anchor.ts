// An anchor: what the hash of one decision block was, kept where those who may write to Kafka may not. Lines of JSON in a
// file that only grows.

/** Digits of a hash in an anchor. */
const HASH_PATTERN = /^[0-9a-f]{64}$/

export interface Anchor {
  readonly streamId: string
  readonly partition: number
  /** Of the block in the decisions topic. */
  readonly offset: number
  /** Hex. */
  readonly hash: string
  /** Blocks of the partition up to this one, itself included, as far back as was known. */
  readonly blocks: number
  readonly decidedAtMs: number
  readonly anchoredAtMs: number
}

export function anchorLine(anchor: Anchor): string {
  return `${JSON.stringify(anchor)}\n`
}

/** The anchor in a line; null when it is none. */
export function parseAnchor(line: string): Anchor | null {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { streamId, partition, offset, hash, blocks, decidedAtMs, anchoredAtMs } =
    value as Readonly<Record<string, unknown>>
  if (typeof streamId !== 'string' || typeof hash !== 'string' || !HASH_PATTERN.test(hash)) {
    return null
  }
  const numbers = { partition, offset, blocks, decidedAtMs, anchoredAtMs }
  if (!Object.values(numbers).every(isCount)) return null
  return { ...(numbers as Record<keyof typeof numbers, number>), streamId, hash }
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && Number(value) >= 0
}
