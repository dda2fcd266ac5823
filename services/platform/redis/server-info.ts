// What Redis says of itself, out of its INFO reply.

/** Memory and evictions of one Redis server. */
export interface RedisServerInfo {
  readonly usedMemoryBytes: number
  /** 0 for no limit. */
  readonly maxMemoryBytes: number
  /** Since the server's start. */
  readonly evictedKeys: number
}

/** Reads the fields; null when one is missing or no number, as a proxy in between may leave it. */
export function parseServerInfo(reply: string): RedisServerInfo | null {
  const numberOf = (field: string): number => {
    const found = new RegExp(`^${field}:(\\d+)\\r?$`, 'm').exec(reply)
    return Number(found?.[1] ?? NaN)
  }
  const info = {
    usedMemoryBytes: numberOf('used_memory'),
    maxMemoryBytes: numberOf('maxmemory'),
    evictedKeys: numberOf('evicted_keys'),
  }
  return Object.values(info).some(Number.isNaN) ? null : info
}
