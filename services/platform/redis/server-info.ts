// Parses the INFO reply of Redis.

/** Memory and evictions of one Redis server. */
export interface RedisServerInfo {
  readonly usedMemoryBytes: number
  /** 0 means no limit. */
  readonly maxMemoryBytes: number
  /** Since the server's start. */
  readonly evictedKeys: number
}

/** Reason why the server cannot store the state, for people; null if it can, or does not say. */
export function serverFault(reply: string): string | null {
  if (/^cluster_enabled:1\r?$/m.test(reply)) {
    return (
      'is a cluster, and a script of ours writes keys that a cluster keeps on several nodes; ' +
      'give one without cluster mode in SLUICE_REDIS_URL'
    )
  }
  if (/^role:slave\r?$/m.test(reply))
    return 'is a replica, which nobody may write; let SLUICE_REDIS_URL name the master'
  return null
}

/** Reads the fields; null if one is missing or not a number, as a proxy in between may cause. */
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
