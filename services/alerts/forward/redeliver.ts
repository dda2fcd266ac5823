// Redelivers alerts that a target did not accept. The topic forward-dead-letters holds one line of JSON each, keyed by
// target. A letter holds the position of its alert and not the alert, so data about a card is stored once, and a
// redelivery reads the alert from the log and sends it with the same id. A second letter records the success, so the next
// run skips the alert.

import type { Producer } from 'kafkajs'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { z } from 'zod'
import type { Clock } from '../../core/clock.ts'
import { SluiceError } from '../../core/errors.ts'
import { parseJson } from '../../core/parse-json.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import type { Alert } from '../../core/wire/records.ts'
import { placeKey, readToEnd } from '../../platform/kafka/committed-reader.ts'
import { openKafka } from '../../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../platform/kafka/kafka-connection.ts'
import { kafkaUnreadable } from '../../platform/kafka/kafka-failure.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import {
  FORWARD_DEAD_REASONS,
  type ForwardDeadReason,
} from '../../platform/metrics/alerts-telemetry.ts'
import { alertEvent } from './cloud-event.ts'
import { delayMsAfter, type Verdict, verdictOf } from './delivery-schedule.ts'
import type { SendEvent } from './send-event.ts'
import type { Target } from './targets-file.ts'

const LETTER = z.object({
  kind: z.enum(['dead', 'redelivered']),
  target: z.string(),
  /** Position in the alerts topic. */
  partition: z.int(),
  offset: z.int(),
  /** Null when this version cannot read the message as an alert. */
  eventId: z.string().nullable(),
  /** Null for the record of a redelivery. */
  reason: z.enum(FORWARD_DEAD_REASONS).nullable(),
  /** Last answer; null when there was none. */
  status: z.int().nullable(),
  attempts: z.int(),
  atMs: z.int(),
})

/** The dead letter of an alert, or the record of its later delivery. */
export type ForwardLetter = Readonly<z.infer<typeof LETTER>>

const LETTER_BYTES_MAX = 4_096

export type WriteLetter = (letter: ForwardLetter) => Promise<void>

/** Resolves once all replicas have the letter; only then may the alert's offset be committed. */
export function openLetterWriter(producer: Producer, topic: string): WriteLetter {
  return async (letter) => {
    const message = { key: letter.target, value: JSON.stringify(letter) }
    await producer.send({ topic, acks: -1, messages: [message] })
  }
}

/** Parses a message of the topic; null when it is not a letter. */
export function parseLetter(value: Buffer | null): ForwardLetter | null {
  if (value === null || value.length > LETTER_BYTES_MAX) return null
  return parseJson(LETTER, value.toString())
}

/** Most letters that one run reads. */
export const REDELIVER_MAX = 100_000

/** Action for a letter: an alert may be superseded by a later revision, or removed by retention. */
export type RedeliveryState = 'send' | 'superseded' | 'gone'

export interface PlannedRedelivery {
  readonly letter: ForwardLetter
  readonly state: RedeliveryState
  /** Null when it is gone. */
  readonly alert: Alert | null
}

export interface RedeliverOptions extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Pick<Codecs, 'alert'>
  readonly target: Target
  /** Null selects all. */
  readonly reasons: readonly ForwardDeadReason[] | null
  readonly sinceMs: number | null
  /** Most alerts that one run sends. */
  readonly sendMax: number
  readonly clock: Clock
  readonly random: () => number
  readonly send: SendEvent
  /** Called once with the plan; false sends nothing. */
  readonly confirm: (planned: readonly PlannedRedelivery[]) => Promise<boolean>
  readonly onSent: (planned: PlannedRedelivery, verdict: Verdict, status: number | null) => void
}

/**
 * Plans, asks for confirmation, and sends one alert after the other, in topic order. @throws SluiceError
 * SLUICE_BROKER_UNAVAILABLE, SLUICE_TOPICS_INVALID, SLUICE_TARGET_UNAVAILABLE when all attempts at the target fail, or
 * the signal's reason.
 */
export async function redeliver(
  options: RedeliverOptions,
  signal: AbortSignal,
): Promise<readonly PlannedRedelivery[]> {
  const letters = await readOpenLetters(options, signal)
  const planned = await plan(letters, options, signal)
  const due = planned.filter(({ state }) => state === 'send')
  if (due.length === 0 || !(await options.confirm(planned))) return planned
  signal.throwIfAborted()
  const producer = openKafka(options, { clientId: 'sluice-redeliver' }).producer({
    idempotent: true,
    maxInFlightRequests: 1,
  })
  try {
    await producer.connect()
    const write = openLetterWriter(producer, topicName(options.topicPrefix, 'forward-dead-letters'))
    for (const each of due) await sendOne(each, options, write, signal)
  } catch (error) {
    const isKafkas = error instanceof Error && error.name.startsWith('KafkaJS')
    throw isKafkas ? await kafkaUnreadable(options, error) : error
  } finally {
    await producer.disconnect().catch(() => undefined)
  }
  return planned
}

/** The target's selected letters that were not redelivered, in the order of the alerts topic. */
async function readOpenLetters(
  options: RedeliverOptions,
  signal: AbortSignal,
): Promise<readonly ForwardLetter[]> {
  const { target, reasons, sinceMs, sendMax } = options
  const open = new Map<string, ForwardLetter>()
  await read(options, 'forward-dead-letters', 'beginning', signal, (_, __, value) => {
    const letter = parseLetter(value)
    if (letter?.target !== target.name) return
    const place = placeOf(letter)
    // All letters of a target are in one partition, so this one is later than those read before.
    if (letter.kind === 'redelivered') open.delete(place)
    else if (open.size < REDELIVER_MAX) open.set(place, letter)
  })
  return [...open.values()]
    .filter(
      ({ reason, atMs, eventId }) =>
        eventId !== null &&
        (reasons === null || reasons.some((wanted) => wanted === reason)) &&
        (sinceMs === null || atMs >= sinceMs),
    )
    .sort((a, b) => a.partition - b.partition || a.offset - b.offset)
    .slice(0, sendMax)
}

/** Finds the alerts, and whether a later revision supersedes them: a block must not follow its release. */
async function plan(
  letters: readonly ForwardLetter[],
  options: RedeliverOptions,
  signal: AbortSignal,
): Promise<readonly PlannedRedelivery[]> {
  if (letters.length === 0) return []
  const topic = topicName(options.topicPrefix, 'alerts')
  const startAt = new Map<string, number>()
  for (const { partition, offset } of letters) {
    const key = placeKey(topic, partition)
    startAt.set(key, Math.min(offset, startAt.get(key) ?? offset))
  }
  const wanted = new Set(letters.map(placeOf))
  const alerts = new Map<string, Alert>()
  const newest = new Map<string, number>()
  await read(options, 'alerts', startAt, signal, (partition, offset, value) => {
    const decoded = options.codecs.alert.decode(value)
    if (!decoded.ok) return
    const alert = decoded.value
    const place = placeOf({ partition, offset })
    if (wanted.has(place)) alerts.set(place, alert)
    else if (!newest.has(alert.alertId)) return
    newest.set(alert.alertId, Math.max(alert.revision, newest.get(alert.alertId) ?? alert.revision))
  })
  return letters.map((letter): PlannedRedelivery => {
    const alert = alerts.get(placeOf(letter)) ?? null
    if (alert === null) return { letter, state: 'gone', alert }
    const isOld = (newest.get(alert.alertId) ?? alert.revision) > alert.revision
    return { letter, state: isOld ? 'superseded' : 'send', alert }
  })
}

function placeOf({ partition, offset }: Pick<ForwardLetter, 'partition' | 'offset'>): string {
  return `${partition}@${offset}`
}

async function read(
  options: RedeliverOptions,
  topic: 'alerts' | 'forward-dead-letters',
  startAt: 'beginning' | ReadonlyMap<string, number>,
  signal: AbortSignal,
  onMessage: (partition: number, offset: number, value: Buffer | null) => void,
): Promise<void> {
  const topics = [topicName(options.topicPrefix, topic)]
  const { brokers, security } = options
  await readToEnd(
    { brokers, security, name: 'sluice-redeliver', topics, startAt },
    ({ partition, messages }) => {
      for (const { offset, value } of messages) onMessage(partition, Number(offset), value)
    },
    signal,
  )
}

async function sendOne(
  planned: PlannedRedelivery,
  options: RedeliverOptions,
  write: (letter: ForwardLetter) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const { target, clock, random, send, onSent } = options
  if (planned.alert === null) throw new Error('An alert that is gone is not sent.')
  const event = alertEvent(planned.alert)
  const pauseMs = target.ratePerSecondMax === null ? 0 : 1_000 / target.ratePerSecondMax
  for (let attempt = 1; ; attempt += 1) {
    const result = await send(target, event, signal)
    signal.throwIfAborted()
    if (result === null) continue
    const verdict = verdictOf(result)
    const status = result.kind === 'answered' ? result.status : null
    if (verdict === 'delivered') {
      await write({
        ...planned.letter,
        kind: 'redelivered',
        reason: null,
        status,
        atMs: clock.nowMs(),
      })
    }
    if (verdict !== 'failed' || attempt >= target.retries.attemptsMax) {
      onSent(planned, verdict, status)
      if (verdict === 'failed') throw unavailable(target, event.id, attempt, status ?? result.kind)
      await sleepMs(pauseMs, undefined, { signal })
      return
    }
    const retryAfterMs = result.kind === 'answered' ? result.retryAfterMs : null
    const delayMs = delayMsAfter(attempt, target.retries, random(), retryAfterMs)
    await sleepMs(Math.max(pauseMs, delayMs), undefined, { signal })
  }
}

function unavailable(
  target: Target,
  id: string,
  attempts: number,
  how: number | string,
): SluiceError {
  return new SluiceError(
    'SLUICE_TARGET_UNAVAILABLE',
    `The target ${target.name} did not take ${id} in ${attempts} attempt(s), the last one ${how}; the alerts after it ` +
      'were not sent. Repair the target, then run this again: what was taken is left out.',
  )
}
