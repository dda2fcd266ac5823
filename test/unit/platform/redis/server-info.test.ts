import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { parseServerInfo } from '../../../../services/platform/redis/server-info.ts'

const REPLY = [
  '# Memory',
  'used_memory:1048576',
  'used_memory_human:1.00M',
  'used_memory_peak:9999999',
  'maxmemory:0',
  'maxmemory_human:0B',
  'maxmemory_policy:noeviction',
  '# Stats',
  'evicted_keys:12',
  '',
].join('\r\n')

test('memory, its limit and evictions are read out of the reply', () => {
  deepStrictEqual(parseServerInfo(REPLY), {
    usedMemoryBytes: 1_048_576,
    maxMemoryBytes: 0,
    evictedKeys: 12,
  })
})

test('a reply that lacks a field, or has another word there, says nothing', () => {
  for (const field of ['used_memory', 'maxmemory', 'evicted_keys']) {
    strictEqual(parseServerInfo(REPLY.replace(`${field}:`, `no_${field}:`)), null)
    strictEqual(
      parseServerInfo(REPLY.replace(new RegExp(`^${field}:\\d+`, 'm'), `${field}:x`)),
      null,
    )
  }
})
