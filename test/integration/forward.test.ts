// Goal: targets get every alert of their filter at least once, under an id that never changes, each card in order;
// targets do not affect one another.
// Method: `sluice alerts forward` as a process on real topics, with real HTTP receivers that verify each delivery and
// read it with the CloudEvents SDK.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { Secret } from '../../services/platform/config/secrets.ts'
import { signatureHeader } from '../../services/alerts/forward/signature.ts'
import { alertOf, newKey, openAlertStream } from '../support/forwarder.ts'
import { eventually, readUntil } from '../support/poll.ts'
import { runSluice } from '../support/sluice-command.ts'
import { openReceiver, type WebhookReceiver } from '../support/webhook-receiver.ts'

const ALL = { actions: ['flag', 'block', 'release'] }
const QUICK = { attemptsMax: 5, firstDelayMs: 20, delayMsMax: 100 }
const key = newKey()
const secrets = { current: { env: 'TEST_KEY' } }
const variables = { TEST_KEY: key }

function targetOf(name: string, { url }: { readonly url: string }, more = {}) {
  return { name, url, filter: ALL, secrets, retries: QUICK, startAt: 'beginning', ...more }
}

function idsOf(count: number, first = 1): readonly string[] {
  return Array.from({ length: count }, (_, index) => `${alertOf(index + first).alertId}.0`)
}

const has =
  (receiver: WebhookReceiver, count: number): (() => Promise<boolean>) =>
  () =>
    Promise.resolve(new Set(receiver.taken).size >= count)

/** Resolves once its metrics have the line: the receiver has an alert before the forwarder has its answer. */
async function tells(
  forwarder: { readonly metricsPort: number },
  line: string | RegExp,
): Promise<void> {
  await readUntil(
    `the forwarder tells ${String(line)}`,
    () => metricsOf(forwarder),
    (text) => (typeof line === 'string' ? text.includes(line) : line.test(text)),
  )
}

async function metricsOf({ metricsPort }: { readonly metricsPort: number }): Promise<string> {
  return (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text()
}

test('without faults a target gets each alert of its filter once, as a CloudEvent', async (t) => {
  const alerts = await openAlertStream(t, ['all', 'blocks'])
  const all = await openReceiver(t, { keys: [key] })
  const blocks = await openReceiver(t, { keys: [key] })
  await alerts.publish(
    Array.from({ length: 60 }, (_, index) =>
      alertOf(index + 1, { action: index % 2 === 0 ? 'flag' : 'block', score: index / 100 }),
    ),
  )
  const wanted = { actions: ['block'], scoreMin: 0.5 }
  const forwarder = await alerts.forward(
    [targetOf('all', all), targetOf('blocks', blocks, { filter: wanted })],
    variables,
  )
  await eventually('all alerts arrive', has(all, 60))
  await eventually('the blocks arrive', has(blocks, 5))
  strictEqual(await forwarder.end('SIGTERM'), 0)
  deepStrictEqual(all.taken.toSorted(), idsOf(60))
  deepStrictEqual(
    blocks.taken.toSorted(),
    idsOf(60).filter((_, index) => index >= 50 && index % 2 === 1),
  )
  deepStrictEqual([...all.refused, ...blocks.refused], [])
  const [first] = all.received
  ok(first !== undefined)
  const { event } = first
  strictEqual(event.type, `dev.sluice.alert.${event.data?.action ?? ''}.v1`)
  strictEqual(event.source, `/sluice/${event.data?.source.streamId ?? ''}`)
  strictEqual(event.subject, event.data?.card)
  strictEqual(event.id, first.headers['webhook-id'])
  strictEqual(Date.parse(event.time ?? ''), event.data?.decidedAtMs)

  // A restarted forwarder continues from its committed offset.
  await alerts.publish([alertOf(61)])
  const again = await alerts.forward([targetOf('all', all)], variables)
  await eventually('the new alert arrives', has(all, 61))
  strictEqual(await again.end('SIGTERM'), 0)
  deepStrictEqual(all.taken.toSorted(), idsOf(61))
})

test('a target that fails at first is retried, and gets the alert under the same id', async (t) => {
  const alerts = await openAlertStream(t, ['shaky'])
  const shaky = await openReceiver(t, { keys: [key], answer: (_, nth) => (nth <= 2 ? 500 : 200) })
  await alerts.publish([alertOf(1), alertOf(2)])
  const forwarder = await alerts.forward(
    [targetOf('shaky', shaky, { circuit: { failures: 100 } })],
    variables,
  )
  await eventually('both arrive', has(shaky, 2))
  deepStrictEqual(shaky.taken.toSorted(), idsOf(2))
  strictEqual(shaky.received.length, 6)
  await tells(forwarder, 'sluice_forward_retries_total{target="shaky"} 4')
  await tells(forwarder, 'sluice_forward_attempts_total{target="shaky",result="5xx"} 4')
  await tells(forwarder, 'sluice_forward_alerts_total{target="shaky",result="delivered"} 2')
  deepStrictEqual(await alerts.letters(), [])
})

test('a target that hangs delays no other target, and loses nothing', async (t) => {
  const alerts = await openAlertStream(t, ['hanging', 'prompt'])
  const hanging = await openReceiver(t, { keys: [key], answer: () => 'hang' })
  const prompt = await openReceiver(t, { keys: [key] })
  const forwarder = await alerts.forward(
    [targetOf('hanging', hanging, { timeoutMs: 60_000 }), targetOf('prompt', prompt)],
    variables,
  )
  const numbers = Array.from({ length: 400 }, (_, index) => index + 1)
  await alerts.publish(numbers.map((number) => alertOf(number)))
  await eventually('everything arrives at the other one', has(prompt, 400))
  deepStrictEqual(prompt.taken.toSorted(), idsOf(400))
  deepStrictEqual(hanging.taken, [])
  ok(
    (await metricsOf(forwarder)).includes(
      'sluice_forward_alerts_total{target="hanging",result="delivered"} 0',
    ),
  )
  hanging.answer = () => 200
  hanging.release(200)
  await eventually('everything arrives at the one that hung', has(hanging, 400))
  deepStrictEqual(hanging.taken.toSorted(), idsOf(400))
})

test('alerts of one card stay in order: a release waits until its block is accepted', async (t) => {
  const alerts = await openAlertStream(t, ['ordered'])
  const ordered = await openReceiver(t, {
    keys: [key],
    answer: ({ data }, nth) => (data?.action === 'block' && nth <= 3 ? 503 : 200),
  })
  const card = 'card-1'
  await alerts.publish([
    alertOf(1, { card, action: 'block' }),
    alertOf(1, { card, action: 'release', revision: 1, supersedes: 0 }),
    alertOf(2, { card, action: 'flag' }),
  ])
  await alerts.forward(
    [targetOf('ordered', ordered, { circuit: { failures: 100 }, concurrency: 8 })],
    variables,
  )
  await eventually('all three arrive', has(ordered, 3))
  const [one, two] = [alertOf(1).alertId, alertOf(2).alertId]
  deepStrictEqual(ordered.taken, [`${one}.0`, `${one}.1`, `${two}.0`])
  deepStrictEqual(
    ordered.received.map(({ status }) => status),
    [503, 503, 503, 200, 200, 200],
  )
})

test('a refused alert becomes a dead letter at once, and a failing one after its last attempt', async (t) => {
  const alerts = await openAlertStream(t, ['picky'])
  const answers: Readonly<Record<string, number>> = { 'card-1': 422, 'card-2': 500, 'card-3': 302 }
  const picky = await openReceiver(t, {
    keys: [key],
    answer: ({ subject }) => answers[subject ?? ''] ?? 200,
  })
  await alerts.publishRaw('no alert at all')
  await alerts.publish([1, 2, 3, 4].map((number) => alertOf(number)))
  const forwarder = await alerts.forward(
    [targetOf('picky', picky, { circuit: { failures: 100 } })],
    variables,
  )
  await eventually('four letters are written', async () => (await alerts.letters()).length === 4)
  await eventually('the good one arrives', has(picky, 1))
  const letters = (await alerts.letters()).map(({ eventId, reason, status, attempts, target }) =>
    [target, eventId, reason, status, attempts].join(' '),
  )
  const [one, two, three, four] = idsOf(4)
  deepStrictEqual(letters.toSorted(), [
    `picky  unreadable  0`,
    `picky ${one ?? ''} rejected 422 1`,
    `picky ${two ?? ''} attempts_exhausted 500 5`,
    `picky ${three ?? ''} rejected 302 1`,
  ])
  deepStrictEqual(picky.taken, [four])
  await tells(forwarder, 'sluice_forward_dead_letters_total{target="picky",reason="rejected"} 2')
  // Everything is finished: a restarted forwarder sends nothing.
  strictEqual(await forwarder.end('SIGTERM'), 0)
  const requests = picky.received.length
  const again = await alerts.forward([targetOf('picky', picky)], variables)
  await alerts.publish([alertOf(5)])
  await eventually('a new one arrives', has(picky, 2))
  strictEqual(picky.received.length, requests + 1)
  await again.end('SIGTERM')
})

test('a key is rotated without a refused delivery: both keys sign until the receiver has the new one', async (t) => {
  const alerts = await openAlertStream(t, ['rotating'])
  const [oldKey, newOne] = [newKey(), newKey()]
  const rotating = await openReceiver(t, { keys: [oldKey] })
  const names = { current: { env: 'OLD_KEY' }, next: { env: 'NEW_KEY' } }
  const keys = { OLD_KEY: oldKey, NEW_KEY: newOne }
  const forwarder = await alerts.forward([targetOf('rotating', rotating, { secrets: names })], keys)
  await alerts.publish([alertOf(1)])
  await eventually('the receiver with the old key takes it', has(rotating, 1))
  rotating.keys = [newOne]
  await alerts.publish([alertOf(2)])
  await eventually('the receiver with the new key takes it', has(rotating, 2))
  strictEqual(await forwarder.end('SIGTERM'), 0)
  const after = { secrets: { current: { env: 'NEW_KEY' } } }
  await alerts.forward([targetOf('rotating', rotating, after)], keys)
  await alerts.publish([alertOf(3)])
  await eventually('the new key alone is enough', has(rotating, 3))
  deepStrictEqual([...rotating.refused], [])
})

test('a forged body, a wrong key, a stale copy and a replay are refused and counted; the control is accepted', async (t) => {
  const receiver = await openReceiver(t, { keys: [key] })
  const alerts = await openAlertStream(t, ['real'])
  await alerts.publish([alertOf(1)])
  await alerts.forward([targetOf('real', receiver)], variables)
  await eventually('a real one arrives', has(receiver, 1))
  const [real] = receiver.received
  ok(real !== undefined)
  const post = async (headers: Record<string, string>, body: string): Promise<number> => {
    const answer = await fetch(receiver.url, { method: 'POST', headers, body })
    return answer.status
  }
  const wanted = ['content-type', 'webhook-id', 'webhook-timestamp', 'webhook-signature']
  const headers = Object.fromEntries(wanted.map((name) => [name, real.headers[name] ?? '']))
  const forged = real.body.replace('"action":"block"', '"action":"release"')
  ok(forged !== real.body)
  strictEqual(await post(headers, forged), 401)
  strictEqual(await post(headers, real.body), 200)
  const signed = (id: string, atMs: number, secret: string): Record<string, string> => {
    const timestampS = Math.floor(atMs / 1_000)
    return {
      'content-type': headers['content-type'] ?? '',
      'webhook-id': id,
      'webhook-timestamp': String(timestampS),
      'webhook-signature': signatureHeader([new Secret(secret)], id, timestampS, real.body),
    }
  }
  strictEqual(await post(signed('other.0', Date.now(), newKey()), real.body), 401)
  strictEqual(await post(signed('other.0', Date.now() - 400_000, key), real.body), 401)
  strictEqual(await post(signed('other.0', Date.now(), key), real.body), 204)
  deepStrictEqual([...receiver.refused].toSorted(), [
    ['replayed', 1],
    ['signature_wrong', 2],
    ['too_old', 1],
  ])
  strictEqual(receiver.taken.length, 2)
})

test('alerts wait while their target is away, none is given up, and all arrive when it is back', async (t) => {
  const alerts = await openAlertStream(t, ['away'])
  let isAway = true
  const away = await openReceiver(t, { keys: [key], answer: () => (isAway ? 503 : 200) })
  const circuit = { failures: 3, openMs: 20, openMsMax: 50 }
  const forwarder = await alerts.forward([targetOf('away', away, { circuit })], variables)
  await alerts.publish(Array.from({ length: 20 }, (_, index) => alertOf(index + 1)))
  // Many more requests than all attempts of all alerts together, if probes counted.
  await eventually('the circuit has probed for long', () =>
    Promise.resolve(away.received.length > 150),
  )
  await tells(forwarder, 'sluice_forward_circuit_open{target="away"} 1')
  await tells(forwarder, /sluice_forward_oldest_undelivered_seconds\{target="away"\} [0-9.]*[1-9]/)
  deepStrictEqual(await alerts.letters(), [])
  isAway = false
  await eventually('all arrive', has(away, 20))
  await tells(forwarder, 'sluice_forward_circuit_open{target="away"} 0')
  deepStrictEqual(await alerts.letters(), [])
})

test('an alert given up is sent again once, under its id, unless a later revision has replaced it', async (t) => {
  const alerts = await openAlertStream(t, ['repaired'])
  const repaired = await openReceiver(t, { keys: [key], answer: () => 403 })
  await alerts.publish([
    alertOf(1, { card: 'card-1' }),
    alertOf(2, { card: 'card-1' }),
    alertOf(2, { card: 'card-1', action: 'release', revision: 1, supersedes: 0 }),
  ])
  const target = targetOf('repaired', repaired, { filter: { actions: ['block'] } })
  const forwarder = await alerts.forward([target], variables)
  await eventually('both are given up', async () => (await alerts.letters()).length === 2)
  await forwarder.end('SIGTERM')

  const redeliver = async (...args: readonly string[]) => {
    const where = ['--targets', alerts.targetsFile, '--target', 'repaired', '--json']
    const command = ['alerts', 'redeliver', ...where, ...args]
    const { code, stderr, json } = await runSluice(
      command,
      alerts.stream.patientEnvironment(variables),
    )
    strictEqual(code, 0, stderr)
    return json().map(({ eventId, result }) => `${String(eventId)} ${String(result)}`)
  }
  const [one, two] = [alertOf(1), alertOf(2)].map(({ alertId }) => `${alertId}.0`)
  const requests = repaired.received.length
  deepStrictEqual(await redeliver('--dry-run'), [`${one ?? ''} send`, `${two ?? ''} superseded`])
  deepStrictEqual(await redeliver('--yes', '--reason', 'given_up'), [])
  strictEqual(repaired.received.length, requests)
  // It is refused again, and stays open.
  deepStrictEqual(await redeliver('--yes'), [`${one ?? ''} rejected`, `${two ?? ''} superseded`])
  repaired.answer = () => 204
  deepStrictEqual(await redeliver('--yes'), [`${one ?? ''} delivered`, `${two ?? ''} superseded`])
  deepStrictEqual(await redeliver('--yes'), [`${two ?? ''} superseded`])
  deepStrictEqual(repaired.taken, [one])
})
