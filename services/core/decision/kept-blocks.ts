// State of a partition's blocks that is committed alongside the offset of labels; the offset of transactions carries the
// position and the hash chain.

/** Beside the leases, which have a topic. */
export interface Kept {
  /** How much later than the newest event its message was sent. */
  readonly skewMs: number
  /** State of the guard; null for none. */
  readonly guard: string | null
}

const NOTHING: Kept = { skewMs: 0, guard: null }

export function encodeKept({ skewMs, guard }: Kept): string {
  return JSON.stringify([skewMs, guard])
}

/** Anything that is not ours begins anew. */
export function decodeKept(text: string | null): Kept {
  try {
    const value: unknown = JSON.parse(text ?? '')
    if (!Array.isArray(value)) return NOTHING
    const [skewMs, guard] = value as unknown[]
    return {
      skewMs: typeof skewMs === 'number' ? skewMs : 0,
      guard: typeof guard === 'string' ? guard : null,
    }
  } catch {
    return NOTHING
  }
}
