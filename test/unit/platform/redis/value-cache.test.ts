import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { ValueCache } from '../../../../services/platform/redis/value-cache.ts'

test('a value that was put once goes before one that was put again', () => {
  const cache = new ValueCache(10)
  const [kept, others] = [cache.open(), cache.open()]
  kept.put('a', 1, 4)
  others.put('b', 2, 4)
  kept.put('a', 3, 4)
  kept.put('c', 4, 4)
  deepStrictEqual([kept.get('a'), others.get('b'), kept.get('c')], [3, undefined, 4])
  deepStrictEqual([cache.bytes, kept.size, others.size], [8, 2, 0])
})

test('a value that grows beyond the room is not kept, and none where there is no room', () => {
  const cache = new ValueCache(10)
  const kept = cache.open()
  kept.put('a', 1, 4)
  kept.put('a', 1, 11)
  deepStrictEqual([kept.get('a'), cache.bytes], [undefined, 0])
  const none = new ValueCache(0).open()
  none.put('a', 1, 1)
  strictEqual(none.size, 0)
})

test('values of one owner are not those of another, and go with it', () => {
  const cache = new ValueCache(100)
  const [first, second] = [cache.open(), cache.open()]
  first.put('a', 1, 5)
  second.put('b', 2, 5)
  strictEqual(second.get('a'), undefined)
  first.clear()
  deepStrictEqual([first.get('a'), second.get('b'), cache.bytes], [undefined, 2, 5])
})

test('a place whose value went meanwhile is not used again', () => {
  const cache = new ValueCache(10)
  const kept = cache.open()
  kept.put('a', 1, 4)
  const place = kept.find('a')
  kept.put('b', 2, 10)
  deepStrictEqual([kept.find('a'), kept.size], [undefined, 1])
  kept.clear()
  kept.put('a', 3, 4, place)
  deepStrictEqual([kept.get('a'), cache.bytes, kept.size], [3, 4, 1])
})
