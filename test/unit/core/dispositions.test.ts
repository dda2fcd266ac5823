import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Dispositions, labelOf } from '../../../services/core/cases.ts'
import { fullDisposition, fullLabel } from './wire/samples.ts'

const said = { ...fullDisposition, requestKey: null }
const { transactionId, card, eventTimeMs, merchant, terminal, device, ipNetwork } = fullLabel
const subject = { transactionId, card, eventTimeMs, merchant, terminal, device, ipNetwork }

test('a finding is a label from when it was found, and what found nothing out is none', () => {
  assert.deepEqual(labelOf(said, subject), {
    ...subject,
    knownAtMs: said.atMs,
    verdict: 'fraud',
    source: 'analyst',
  })
  assert.equal(labelOf({ ...said, finding: 'genuine' }, subject)?.verdict, 'genuine')
  assert.equal(labelOf({ ...said, finding: 'inconclusive' }, subject), null)
})

test('the same finding by the same source is no news; another finding or source is', () => {
  const known = new Dispositions(10)
  assert.equal(known.noveltyOf(said), 'new')
  known.take(said)
  assert.equal(known.noveltyOf({ ...said, author: 'bo', reason: 'so it is', atMs: 0 }), 'repeated')
  assert.equal(known.noveltyOf({ ...said, finding: 'genuine' }), 'new')
  assert.equal(known.noveltyOf({ ...said, source: 'customer' }), 'new')
  // Corrected, and corrected back: each one is new at its time.
  known.take({ ...said, finding: 'genuine' })
  assert.equal(known.noveltyOf(said), 'new')
})

test('a word is told from another one that says the same', () => {
  const known = new Dispositions(10)
  assert.ok(!known.holds(said))
  known.take(said)
  assert.ok(known.holds({ ...said }))
  for (const other of [{ author: 'bo' }, { reason: 'so it is' }, { atMs: said.atMs + 1 }])
    assert.ok(!known.holds({ ...said, ...other }))
  known.take({ ...said, finding: 'genuine' })
  assert.ok(!known.holds(said))
})

test('a key that was used says the same thing or is a conflict', () => {
  const known = new Dispositions(10)
  known.take({ ...said, requestKey: 'k' })
  assert.equal(known.noveltyOf({ ...said, requestKey: 'k' }), 'repeated')
  assert.equal(known.noveltyOf({ ...said, requestKey: 'k', finding: 'genuine' }), 'conflict')
  assert.equal(known.noveltyOf({ ...said, requestKey: 'k', transactionId: 'other' }), 'conflict')
})

test('the key of a request that said nothing new stands for what it said', () => {
  const known = new Dispositions(10)
  known.take(said)
  const again = { ...said, requestKey: 'k1' }
  assert.equal(known.noveltyOf(again), 'repeated')
  known.takeRepeated(again)
  assert.equal(known.noveltyOf(again), 'repeated')
  assert.equal(known.noveltyOf({ ...again, finding: 'genuine' }), 'conflict')
  assert.equal(known.noveltyOf({ ...said, finding: 'genuine' }), 'new')
})

test('of too many the oldest is forgotten', () => {
  const known = new Dispositions(1)
  known.take(said)
  known.take({ ...said, transactionId: 'other' })
  assert.equal(known.noveltyOf(said), 'new')
  assert.equal(known.noveltyOf({ ...said, transactionId: 'other' }), 'repeated')
})
