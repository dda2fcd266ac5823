// Delivers alerts to one target, from the fetched message to the accepting answer: at most `concurrency` requests at a
// time, each card in order, retries when they are due. Of Kafka it knows only partitions and offsets.

import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Clock } from '../../core/clock.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import type { Logger } from '../../platform/log.ts'
import type {
  AttemptLabel,
  ForwardDeadReason,
  ForwardTelemetry,
} from '../../platform/metrics/alerts-telemetry.ts'
import { type AlertEvent, alertEvent, isWanted } from './cloud-event.ts'
import {
  type AttemptResult,
  delayMsAfter,
  DeliveryWindow,
  DueQueue,
  verdictOf,
  type WindowEntry,
} from './delivery-schedule.ts'
import type { WriteLetter } from './redeliver.ts'
import type { SendEvent } from './send-event.ts'
import type { Target } from './targets-file.ts'
import { DELIVERY_BYTES_MAX } from './signature.ts'

export interface DeliveriesOptions {
  readonly target: Target
  readonly codecs: Pick<Codecs, 'alert'>
  readonly clock: Clock
  /** Number from 0 to 1, for the jitter. */
  readonly random: () => number
  readonly send: SendEvent
  readonly writeLetter: WriteLetter
  readonly log: Logger
  readonly telemetry: ForwardTelemetry
  /** A message of the partition is finished: there may be room, and an offset to commit. */
  readonly onDone: (partition: number) => void
  /** Called when a dead letter cannot be written: deliveries can no longer be guaranteed. */
  readonly onFailure: (error: unknown) => void
}

/** A fetched message. */
export interface FetchedMessage {
  readonly offset: string
  readonly value: Buffer | null
}

interface InHand {
  readonly partition: number
  /** Null for a message that is not an alert. */
  readonly event: AlertEvent | null
  readonly decidedAtMs: number
  /** The reason for which it must not be sent; null when it may be. */
  readonly fault: ForwardDeadReason | null
  /** All requests, and those that count as attempts: a circuit probe is no evidence about the alert. */
  requests: number
  attempts: number
  firstTriedMs: number | null
}

type Entry = WindowEntry<InHand>

export class TargetDeliveries {
  readonly #options: DeliveriesOptions
  readonly #queue: DueQueue<Entry>
  readonly #windows = new Map<number, DeliveryWindow<InHand>>()
  readonly #running = new Set<Promise<void>>()
  #breakOff = new AbortController()
  #isHeld = true
  #timer: NodeJS.Timeout | null = null

  constructor(options: DeliveriesOptions) {
    this.#options = options
    this.#queue = new DueQueue(options.target)
  }

  /** The first unfinished offset of each partition. */
  get positions(): ReadonlyMap<number, number> {
    return new Map([...this.#windows].map(([partition, { nextOffset }]) => [partition, nextOffset]))
  }

  /** Number of messages of a partition in flight. */
  sizeOf(partition: number): number {
    return this.#windows.get(partition)?.size ?? 0
  }

  get waiting(): number {
    return [...this.#windows.values()].reduce((sum, { size }) => sum + size, 0)
  }

  /** Decision time of the oldest alert in flight; null when there is none. */
  get oldestDecidedAtMs(): number | null {
    const times = [...this.#windows.values()].map(({ oldest }) => oldest?.item.decidedAtMs ?? null)
    const known = times.filter((time) => time !== null)
    return known.length === 0 ? null : Math.min(...known)
  }

  get isCircuitOpen(): boolean {
    return this.#queue.circuit.state !== 'closed'
  }

  /** Starts partitions at these offsets, and sending. */
  begin(positions: ReadonlyMap<number, number>): void {
    for (const [partition, next] of positions) {
      this.#windows.set(partition, new DeliveryWindow(next))
    }
    this.#isHeld = false
  }

  /**
   * Stops all partitions. Open requests may end within `graceMs`; the others are cancelled, and their alerts are sent
   * again from their offset. Positions stay until the next `begin`.
   */
  async end(graceMs: number): Promise<void> {
    this.#isHeld = true
    this.#queue.clear()
    if (this.#timer !== null) clearTimeout(this.#timer)
    const settled = this.#settled()
    const given = new AbortController()
    const grace = sleepMs(graceMs, undefined, { signal: given.signal }).catch(() => undefined)
    await Promise.race([settled, grace])
    given.abort()
    this.#breakOff.abort()
    await settled
    this.#breakOff = new AbortController()
  }

  /** Forgets the positions of partitions. */
  forget(): void {
    this.#windows.clear()
  }

  /** Accepts messages of a partition in offset order, and ignores repeats. */
  take(partition: number, messages: readonly FetchedMessage[]): void {
    const window = this.#windows.get(partition)
    if (window === undefined || this.#isHeld) return
    const { target, telemetry } = this.#options
    let filtered = 0
    for (const { offset: text, value } of messages) {
      const offset = Number(text)
      if (offset < window.takenTo) continue
      const decoded = this.#options.codecs.alert.decode(value)
      if (decoded.ok && !isWanted(decoded.value, target.filter)) {
        window.pass(offset)
        filtered += 1
        continue
      }
      // An unreadable message belongs to no card and waits for nothing.
      const card = decoded.ok ? decoded.value.card : `offset ${offset}`
      const event = decoded.ok ? alertEvent(decoded.value) : null
      const decidedAtMs = decoded.ok ? decoded.value.decidedAtMs : this.#options.clock.nowMs()
      const counts = { requests: 0, attempts: 0, firstTriedMs: null }
      const fault = faultOf(event)
      this.#ready(window.add(offset, card, { partition, event, decidedAtMs, fault, ...counts }))
    }
    telemetry.filtered(target.name, filtered)
    this.#pump()
  }

  async #settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running)
  }

  #ready(entry: Entry | null): void {
    if (entry === null || this.#isHeld) return
    const { fault } = entry.item
    if (fault !== null) this.#run(this.#bury(entry, fault, null))
    else this.#queue.add(entry, this.#options.clock.monotonicMs())
  }

  #run(work: Promise<void>): void {
    const running = work
      .catch((error: unknown) => {
        this.#options.onFailure(error)
      })
      .finally(() => {
        this.#running.delete(running)
        this.#pump()
      })
    this.#running.add(running)
  }

  /** Starts deliveries that are due, and sets a timer for the next one. */
  #pump(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    const { clock, target } = this.#options
    while (!this.#isHeld && this.#running.size < target.concurrency) {
      const nowMs = clock.monotonicMs()
      const next = this.#queue.next(nowMs)
      if (next.kind === 'call') {
        this.#run(this.#attempt(next.item, next.isProbe))
        continue
      }
      if (next.atMs !== null) {
        this.#timer = setTimeout(
          () => {
            this.#pump()
          },
          Math.ceil(next.atMs - nowMs),
        )
      }
      return
    }
  }

  async #attempt(entry: Entry, isProbe: boolean): Promise<void> {
    const { target, clock, send, telemetry } = this.#options
    const { item } = entry
    if (item.event === null) throw new Error('A message that is not an alert is never sent.')
    const startedMs = clock.monotonicMs()
    item.firstTriedMs ??= startedMs
    const result = await send(target, item.event, this.#breakOff.signal)
    const { circuit } = this.#queue
    if (result === null) {
      circuit.withdrawn(isProbe)
      return
    }
    const nowMs = clock.monotonicMs()
    telemetry.attempted(target.name, labelOf(result), nowMs - startedMs, item.requests > 0)
    item.requests += 1
    const verdict = verdictOf(result)
    if (verdict !== 'failed')
      this.#noteCircuit(() => {
        circuit.succeeded(isProbe)
      })
    switch (verdict) {
      case 'delivered':
        telemetry.delivered(target.name, clock.nowMs() - item.decidedAtMs)
        this.#done(entry)
        return
      case 'rejected':
        item.attempts += 1
        await this.#bury(entry, 'rejected', statusOf(result))
        return
      case 'failed':
        this.#noteCircuit(() => {
          circuit.failed(nowMs, isProbe)
        })
        await this.#retry(entry, result, nowMs, isProbe)
    }
  }

  /** A failed probe shows that the target is away, which is no evidence about the alert: it costs no attempt. */
  async #retry(
    entry: Entry,
    result: AttemptResult,
    nowMs: number,
    isProbe: boolean,
  ): Promise<void> {
    const { retries } = this.#options.target
    const { item } = entry
    if (!isProbe) item.attempts += 1
    if (item.attempts >= retries.attemptsMax) {
      await this.#bury(entry, 'attempts_exhausted', statusOf(result))
    } else if (nowMs - (item.firstTriedMs ?? nowMs) >= retries.giveUpMs) {
      await this.#bury(entry, 'given_up', statusOf(result))
    } else if (!this.#isHeld) {
      const retryAfterMs = result.kind === 'answered' ? result.retryAfterMs : null
      const failures = Math.max(1, item.attempts)
      const delayMs = delayMsAfter(failures, retries, this.#options.random(), retryAfterMs)
      this.#queue.add(entry, nowMs + delayMs)
    }
  }

  async #bury(entry: Entry, reason: ForwardDeadReason, status: number | null): Promise<void> {
    const { target, clock, log, telemetry, writeLetter } = this.#options
    const { partition, event, attempts } = entry.item
    const eventId = event?.id ?? null
    const place = { target: target.name, partition, offset: entry.offset, eventId }
    const atMs = clock.nowMs()
    await writeLetter({ kind: 'dead', ...place, reason, status, attempts, atMs })
    telemetry.died(target.name, reason)
    log.warn({ ...place, reason, status, attempts }, 'An alert was given up at a target.')
    this.#done(entry)
  }

  #done(entry: Entry): void {
    const { partition } = entry.item
    this.#ready(this.#windows.get(partition)?.done(entry) ?? null)
    this.#options.onDone(partition)
  }

  #noteCircuit(change: () => void): void {
    const before = this.isCircuitOpen
    change()
    if (this.isCircuitOpen === before) return
    const { log, target } = this.#options
    if (before) log.info({ target: target.name }, 'A target answers again.')
    else log.warn({ target: target.name }, 'A target does not answer; its alerts wait.')
  }
}

function faultOf(event: AlertEvent | null): ForwardDeadReason | null {
  if (event === null) return 'unreadable'
  return Buffer.byteLength(event.body) > DELIVERY_BYTES_MAX ? 'too_large' : null
}

function statusOf(result: AttemptResult): number | null {
  return result.kind === 'answered' ? result.status : null
}

function labelOf(result: AttemptResult): AttemptLabel {
  if (result.kind !== 'answered') return result.kind
  if (result.status < 300) return '2xx'
  if (result.status < 400) return '3xx'
  return result.status < 500 ? '4xx' : '5xx'
}
