// Goal: a forwarder may be killed at any time: every alert still reaches its target, and a repeat has the same id.
// Method: it is killed twice during 300 alerts, at arbitrary points. The receiver verifies each delivery and
// acknowledges a repeat as done, so that repeats are counted. The control commits an alert before it is sent.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { describe, test, type TestContext } from 'node:test'
import { partitionOfText } from '../../services/core/murmur2.ts'
import type { Entry } from '../support/services-build.ts'
import { alertOf, newKey, openAlertStream } from '../support/forwarder.ts'
import { eventually } from '../support/poll.ts'
import { PARTITION_COUNT } from '../support/streams.ts'
import { openReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts'

const COUNT = 300
const KILLED_AT = [60, 140]

interface Forwarded {
  readonly receiver: WebhookReceiver
  /** Alerts that have not arrived, and those that were accepted as new more than once. */
  readonly faults: readonly string[]
}

/** Forwards all alerts, with kills on the way. */
async function forwardWithKills(t: TestContext, main?: Entry): Promise<Forwarded> {
  const key = newKey()
  const alerts = await openAlertStream(t, ['killed'])
  const receiver = await openReceiver(t, { keys: [key] })
  const has = (count: number) => () => Promise.resolve(receiver.taken.length >= count)
  const target = {
    name: 'killed',
    url: receiver.url,
    filter: { actions: ['flag', 'block', 'release'] },
    secrets: { current: { env: 'TEST_KEY' } },
    startAt: 'beginning',
    concurrency: 2,
    ratePerSecondMax: 200,
  }
  const numbers = Array.from({ length: COUNT }, (_, index) => index + 1)
  await alerts.publish(numbers.map((number) => alertOf(number)))
  for (const enough of KILLED_AT) {
    const forwarder = await alerts.forward([target], { TEST_KEY: key }, main)
    await eventually('it is half-way', has(enough))
    strictEqual(await forwarder.end('SIGKILL'), null)
    ok(receiver.taken.length < COUNT)
  }
  await alerts.forward([target], { TEST_KEY: key }, main)
  // The last alerts of their partitions: once these arrive, no other one is in flight.
  const markers = markersBehind(COUNT)
  await alerts.publish(markers.map(({ number, card }) => alertOf(number, { card })))
  const idOf = (number: number): string => `${alertOf(number).alertId}.0`
  await eventually('the last ones arrive', () =>
    Promise.resolve(markers.every(({ number }) => receiver.taken.includes(idOf(number)))),
  )
  const counts = new Map<string, number>()
  for (const id of receiver.taken) counts.set(id, (counts.get(id) ?? 0) + 1)
  const faults = numbers
    .map((number) => idOf(number))
    .filter((id) => counts.get(id) !== 1)
    .map((id) => `${id} was taken ${counts.get(id) ?? 0} times`)
  return { receiver, faults }
}

/** One further alert for each partition. */
function markersBehind(
  count: number,
): readonly { readonly number: number; readonly card: string }[] {
  return Array.from({ length: PARTITION_COUNT }, (_, partition) => {
    let tries = 0
    while (partitionOfText(`mark-${tries}`, PARTITION_COUNT) !== partition) tries += 1
    return { number: count + 1 + partition, card: `mark-${tries}` }
  })
}

// Most of their time passes until the group expires a killed forwarder, so they run concurrently.
describe('kills of a forwarder', { concurrency: true }, () => {
  test('a killed forwarder loses nothing, and its repeats have the same id', async (t) => {
    const { receiver, faults } = await forwardWithKills(t)
    deepStrictEqual(faults, [])
    // Only repeats are refused; and there are some, or the kills had no effect.
    deepStrictEqual([...receiver.refused.keys()], ['replayed'])
  })

  test('a forwarder that commits an alert before sending it loses some to the same kills', async (t) => {
    const { faults } = await forwardWithKills(t, 'test/support/careless-forwarder.ts')
    ok(faults.length > 0, 'the control has lost nothing')
    ok(
      faults.every((fault) => fault.endsWith('was taken 0 times')),
      faults[0],
    )
  })
})
