// Goal: a forwarder may be killed at any time: every alert still reaches its target, and what comes twice has the id
// that it had.
// Method: it is killed twice on its way through 300 alerts, at no chosen point. The receiver verifies each delivery and
// answers a repeat as done, so that the repeats are counted.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { alertOf, newKey, openAlertStream } from '../support/forwarder.ts'
import { eventually } from '../support/poll.ts'
import { openReceiver } from '../support/webhook-receiver.ts'

const COUNT = 300

test('a forwarder that is killed loses nothing, and what it repeats has the same id', async (t) => {
  const key = newKey()
  const alerts = await openAlertStream(t, ['killed'])
  const killed = await openReceiver(t, { keys: [key] })
  const has = (count: number) => () => Promise.resolve(killed.taken.length >= count)
  const target = {
    name: 'killed',
    url: killed.url,
    filter: { actions: ['flag', 'block', 'release'] },
    secrets: { current: { env: 'TEST_KEY' } },
    startAt: 'beginning',
    concurrency: 2,
    ratePerSecondMax: 200,
  }
  const numbers = Array.from({ length: COUNT }, (_, index) => index + 1)
  await alerts.publish(numbers.map((number) => alertOf(number)))
  for (const enough of [60, 140]) {
    const forwarder = await alerts.forward([target], { TEST_KEY: key })
    await eventually('it is half-way', has(enough))
    strictEqual(await forwarder.end('SIGKILL'), null)
    ok(killed.taken.length < COUNT)
  }
  await alerts.forward([target], { TEST_KEY: key })
  await eventually('all arrive', has(COUNT))
  deepStrictEqual(
    killed.taken.toSorted(),
    numbers.map((number) => `${alertOf(number).alertId}.0`),
  )
  // Nothing but repeats is refused; and there are some, or the kills hit nothing.
  deepStrictEqual([...killed.refused.keys()], ['replayed'])
})
