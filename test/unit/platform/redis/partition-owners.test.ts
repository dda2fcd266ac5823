import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PartitionOwners } from '../../../../services/platform/redis/partition-owners.ts'

const ownerOf = (generation: number) => ({
  generation,
  kept: { get: (): unknown => undefined, isIncomplete: false },
  folded: null,
  isQuiescent: true,
  holds: () => true,
})

test('a partition is known by the session that entered last, until that one leaves', () => {
  const owners = new PartitionOwners()
  const [first, second] = [ownerOf(1), ownerOf(2)]
  assert.equal(owners.of(0), null)
  owners.enter(0, first)
  owners.enter(0, second)
  owners.leave(0, first)
  assert.equal(owners.of(0), second)
  owners.leave(0, second)
  assert.equal(owners.of(0), null)
})

test('an entity without a value is not asked for again until its partition writes one', () => {
  const owners = new PartitionOwners()
  const owner = ownerOf(1)
  owners.enter(0, owner)
  owners.noteAbsent(0, owner, 7)
  assert.equal(owners.isAbsent(0, 7), true)
  assert.equal(owners.isAbsent(0, 8), false)
  assert.equal(owners.isAbsent(1, 7), false)
  owners.notePresent(0, owner, 7)
  assert.equal(owners.isAbsent(0, 7), false)
})

test('what is found while a write is on its way, or of a session that has left, is not noted', () => {
  const owners = new PartitionOwners()
  const isIncomplete = true
  const owner = { ...ownerOf(1), kept: { get: () => undefined, isIncomplete }, isQuiescent: false }
  owners.enter(0, owner)
  owners.noteAbsent(0, owner, 7)
  assert.equal(owners.isAbsent(0, 7), false)
  const next = ownerOf(2)
  owners.enter(0, next)
  owners.noteAbsent(0, owner, 7)
  assert.equal(owners.isAbsent(0, 7), false)
  owners.noteAbsent(0, next, 7)
  assert.equal(owners.isAbsent(0, 7), true)
  owners.enter(0, ownerOf(3))
  assert.equal(owners.isAbsent(0, 7), false)
})

test('of an owner that keeps all in memory, an entity that came there meanwhile is not noted as absent', () => {
  const owners = new PartitionOwners()
  const held = new Map([[7, {}]])
  const kept = { get: (id: string | number) => held.get(Number(id)), isIncomplete: false }
  const owner = { ...ownerOf(1), kept, isQuiescent: false }
  owners.enter(0, owner)
  owners.noteAbsent(0, owner, 7)
  owners.noteAbsent(0, owner, 8)
  assert.deepEqual([owners.isAbsent(0, 7), owners.isAbsent(0, 8)], [false, true])
})
