// The messages that a replayed partition keeps: found until they are removed, and bounded by their times.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ReplayMessages } from '../../../../../services/core/features/provenance/replay-messages.ts'

test('a message is found as it was kept, until it is forgotten', () => {
  const messages = new ReplayMessages()
  const message = Buffer.from('one')
  messages.keep(7, 1_000, message)
  message.fill(0)
  messages.keep(8, 1_000, Buffer.from('another'))
  assert.deepEqual(messages.find(7), Buffer.from('one'))
  assert.equal(messages.find(9), null)
  messages.forget(7)
  assert.equal(messages.find(7), null)
  messages.keepOnly((each) => each.length < 4)
  assert.equal(messages.size, 0)
})

test('of a long log the messages of its last part stay, whatever comes late or from the future', () => {
  const messages = new ReplayMessages()
  let most = 0
  messages.keep(0, Infinity, Buffer.from('from the future'))
  for (let offset = 1; offset < 20_000; offset += 1) {
    const timeMs = offset % 7 === 0 ? offset - 90 : offset
    messages.keep(offset, timeMs, Buffer.from(`${offset}`))
    messages.forgetBefore(offset - 100)
    most = Math.max(most, messages.size)
    assert.ok(timeMs < offset - 100 || messages.find(offset) !== null)
  }
  assert.ok(most <= 1_300, `${most} messages`)
  for (let offset = 19_910; offset < 20_000; offset += 1) {
    if (offset % 7 !== 0) assert.deepEqual(messages.find(offset), Buffer.from(`${offset}`))
  }
})
