// Goal: each alert has the right fate when its target misbehaves. Method: deliveries with a sender of the test instead
// of HTTP; delays are milliseconds.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { inspect } from 'node:util'
import { test } from 'node:test'
import type { ForwardLetter } from '../../../../services/alerts/forward/redeliver.ts'
import type { AttemptResult } from '../../../../services/alerts/forward/delivery-schedule.ts'
import { TargetDeliveries } from '../../../../services/alerts/forward/target-deliveries.ts'
import type { Target } from '../../../../services/alerts/forward/targets-file.ts'
import type { Alert } from '../../../../services/core/wire/records.ts'
import { systemClock } from '../../../../services/platform/clock.ts'
import { Secret } from '../../../../services/platform/config/secrets.ts'
import type { Logger } from '../../../../services/platform/log.ts'
import { createForwardTelemetry } from '../../../../services/platform/metrics/alerts-telemetry.ts'
import { eventually } from '../../../support/poll.ts'
import { fullAlert } from '../../core/wire/samples.ts'
import { codecs } from '../../core/wire/wire-fixture.ts'

const KEY = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const URL_WITH_TOKEN = 'https://core.example.com/alerts?token=sesame'

const TARGET: Target = {
  name: 'core',
  url: URL_WITH_TOKEN,
  filter: {
    actions: ['flag', 'block', 'release'],
    scoreMin: null,
    segments: null,
    amountMinorMin: null,
  },
  keys: [new Secret(KEY)],
  startAt: 'beginning',
  timeoutMs: 1_000,
  retries: { attemptsMax: 3, firstDelayMs: 1, delayMsMax: 2, giveUpMs: 60_000 },
  circuit: { failures: 100, openMs: 1, openMsMax: 1 },
  concurrency: 2,
  ratePerSecondMax: null,
}

const answered = (status: number): AttemptResult => ({
  kind: 'answered',
  status,
  retryAfterMs: null,
})

function open(
  more: Partial<Target>,
  answer: (id: string, signal: AbortSignal) => AttemptResult | Promise<AttemptResult | null>,
) {
  const letters: ForwardLetter[] = []
  const sent: string[] = []
  const failures: unknown[] = []
  const lines: unknown[] = []
  const write = (...line: unknown[]): void => {
    lines.push(line)
  }
  const log: Logger = {
    debug: write,
    info: write,
    warn: write,
    error: write,
    isLevelEnabled: () => true,
  }
  const telemetry = createForwardTelemetry()
  telemetry.targetAdded(TARGET.name)
  const deliveries = new TargetDeliveries({
    target: { ...TARGET, ...more },
    codecs,
    clock: systemClock,
    random: () => 0.5,
    send: (_, { id }, signal) => {
      sent.push(id)
      return Promise.resolve(answer(id, signal))
    },
    writeLetter: (letter) => {
      letters.push(letter)
      return Promise.resolve()
    },
    log,
    telemetry,
    onDone: () => undefined,
    onFailure: (error) => {
      failures.push(error)
    },
  })
  deliveries.begin(new Map([[0, 10]]))
  return { deliveries, letters, sent, failures, lines, telemetry }
}

function messagesOf(...alerts: readonly Partial<Alert>[]) {
  return alerts.map((alert, index) => ({
    offset: String(10 + index),
    value: codecs.alert.encode({ ...fullAlert, revision: 0, alertId: `a${index}`, ...alert }),
  }))
}

const isAt = (deliveries: TargetDeliveries, offset: number) => () =>
  Promise.resolve(deliveries.positions.get(0) === offset)

test('an alert is given up when its time is over, although the circuit lets only probes through', async () => {
  const circuit = { failures: 1, openMs: 1, openMsMax: 1 }
  const retries = { ...TARGET.retries, giveUpMs: 20 }
  const { deliveries, letters, sent } = open({ circuit, retries }, () => ({ kind: 'timeout' }))
  deliveries.take(0, messagesOf({}))
  await eventually('it is done', isAt(deliveries, 11))
  deepStrictEqual(
    letters.map(({ reason, status, attempts }) => [reason, status, attempts]),
    [['given_up', null, 1]],
  )
  ok(sent.length > 1)
})

test('one that is too large is given up without being sent, and after those of its card before it', async () => {
  const { deliveries, letters, sent } = open({ concurrency: 1 }, () => answered(200))
  const [reason] = fullAlert.reasons
  ok(reason !== undefined)
  const reasons = Array.from({ length: 300 }, () => ({ ...reason, text: 'x'.repeat(1_000) }))
  deliveries.take(0, messagesOf({}, { reasons }, {}))
  await eventually('all are done', isAt(deliveries, 13))
  deepStrictEqual(sent, ['a0.0', 'a2.0'])
  deepStrictEqual(
    letters.map(({ eventId, reason: why, offset }) => [eventId, why, offset]),
    [['a1.0', 'too_large', 11]],
  )
})

test('no more requests run at a time than allowed, over all cards', async () => {
  let running = 0
  let most = 0
  const { deliveries } = open({ concurrency: 2 }, async () => {
    running += 1
    most = Math.max(most, running)
    await new Promise(setImmediate)
    running -= 1
    return answered(200)
  })
  deliveries.take(
    0,
    messagesOf(...Array.from({ length: 20 }, (_, index) => ({ card: `c${index}` }))),
  )
  await eventually('all are done', isAt(deliveries, 30))
  strictEqual(most, 2)
})

test('at its end what runs is broken off and is not done: its offset stands, and it goes out again', async () => {
  let isHanging = true
  const { deliveries, sent } = open({}, (_, signal) =>
    isHanging
      ? new Promise((resolve) => {
          signal.addEventListener('abort', () => {
            resolve(null)
          })
        })
      : answered(200),
  )
  const messages = messagesOf({ card: 'a' }, { card: 'b' }, { card: 'c' })
  deliveries.take(0, messages)
  strictEqual(deliveries.waiting, 3)
  await deliveries.end(0)
  deepStrictEqual([...deliveries.positions], [[0, 10]])
  deliveries.forget()
  isHanging = false
  deliveries.begin(new Map([[0, 10]]))
  deliveries.take(0, messages)
  await eventually('all are done', isAt(deliveries, 13))
  deepStrictEqual(sent.toSorted(), ['a0.0', 'a0.0', 'a1.0', 'a1.0', 'a2.0'])
})

test('messages that were taken before are passed over, and those of other partitions', async () => {
  const { deliveries, sent } = open({}, () => answered(200))
  deliveries.take(0, messagesOf({}, {}))
  deliveries.take(0, messagesOf({}, {}))
  deliveries.take(1, messagesOf({}))
  await eventually('all are done', isAt(deliveries, 12))
  deepStrictEqual(sent, ['a0.0', 'a1.0'])
})

test('what is left out moves the place on, and is counted', async () => {
  const filter = { ...TARGET.filter, actions: ['release' as const] }
  const { deliveries, sent, telemetry } = open({ filter }, () => answered(200))
  deliveries.take(0, messagesOf({}, {}))
  deepStrictEqual([...deliveries.positions], [[0, 12]])
  deepStrictEqual(sent, [])
  const metrics = await telemetry.registry.metrics()
  ok(metrics.includes('sluice_forward_alerts_total{target="core",result="filtered"} 2'))
})

test('when a letter cannot be written, that is told, and the place stays', async () => {
  const failure = new Error('no broker')
  const failures: unknown[] = []
  const telemetry = createForwardTelemetry()
  const quiet = (): void => undefined
  const deliveries = new TargetDeliveries({
    target: TARGET,
    codecs,
    clock: systemClock,
    random: () => 0,
    send: () => Promise.resolve(answered(400)),
    writeLetter: () => Promise.reject(failure),
    log: { debug: quiet, info: quiet, warn: quiet, error: quiet, isLevelEnabled: () => false },
    telemetry,
    onDone: quiet,
    onFailure: (error) => {
      failures.push(error)
    },
  })
  deliveries.begin(new Map([[0, 10]]))
  deliveries.take(0, messagesOf({}))
  await eventually('it is told', () => Promise.resolve(failures.length > 0))
  deepStrictEqual(failures, [failure])
  deepStrictEqual([...deliveries.positions], [[0, 10]])
})

test('no log line and no metric holds a key, the address or anything of the alert', async () => {
  const circuit = { failures: 1, openMs: 1, openMsMax: 1 }
  const { deliveries, lines, telemetry } = open({ circuit }, (id) =>
    answered(id === 'a0.0' ? 500 : 422),
  )
  deliveries.take(0, messagesOf({ card: 'card-secret' }, { card: 'card-other' }))
  await eventually('the second is given up', () => Promise.resolve(lines.length >= 2))
  await deliveries.end(0)
  const text = inspect(lines, { depth: 9 }) + (await telemetry.registry.metrics())
  for (const secret of [
    KEY.slice(6),
    'example.com',
    'sesame',
    'card-secret',
    'card-other',
    'payments',
  ]) {
    ok(!text.includes(secret), secret)
  }
  ok(text.includes('a1.0'))
})
