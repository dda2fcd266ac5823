import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { ValueCache } from '../../../../services/platform/redis/value-cache.ts'

test('the least recently put value goes first once there is no room', () => {
  const [cache, owner] = [new ValueCache(10), {}]
  cache.put(owner, 'a', 1, 4)
  cache.put(owner, 'b', 2, 4)
  cache.put(owner, 'a', 3, 4)
  cache.put(owner, 'c', 4, 4)
  deepStrictEqual(
    ['a', 'b', 'c'].map((key) => cache.get(owner, key)),
    [3, undefined, 4],
  )
  deepStrictEqual([cache.weight, cache.size], [8, 2])
})

test('a value that grows beyond the room is not kept, and none where there is no room', () => {
  const [cache, owner] = [new ValueCache(10), {}]
  cache.put(owner, 'a', 1, 4)
  cache.put(owner, 'a', 1, 11)
  deepStrictEqual([cache.get(owner, 'a'), cache.weight], [undefined, 0])
  const none = new ValueCache(0)
  none.put(owner, 'a', 1, 1)
  strictEqual(none.size, 0)
})

test('values of one owner are not those of another, and go with it', () => {
  const [cache, first, second] = [new ValueCache(100), {}, {}]
  cache.put(first, 'a', 1, 5)
  cache.put(second, 'b', 2, 5)
  strictEqual(cache.get(second, 'a'), undefined)
  cache.forget(first)
  deepStrictEqual([cache.get(first, 'a'), cache.get(second, 'b'), cache.weight], [undefined, 2, 5])
})
