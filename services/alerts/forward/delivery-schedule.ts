// Verdict on an answer, and the delay before a retry: full jitter under a bound that doubles up to a cap.

/** Result of one attempt. */
export type AttemptResult =
  | { readonly kind: 'answered'; readonly status: number; readonly retryAfterMs: number | null }
  | { readonly kind: 'timeout' | 'no_connection' }

/** Verdict on an attempt. */
export const VERDICTS = ['delivered', 'rejected', 'failed'] as const
export type Verdict = (typeof VERDICTS)[number]

export interface RetryLimits {
  readonly attemptsMax: number
  readonly firstDelayMs: number
  readonly delayMsMax: number
}

/** Temporary refusals: a time-out, too early, too many requests. */
const RETRIED_STATUS: ReadonlySet<number> = new Set([408, 425, 429])

/** Any other answer below 500 would be the same on a retry. That includes redirections, which are never followed. */
export function verdictOf(result: AttemptResult): Verdict {
  if (result.kind !== 'answered') return 'failed'
  const { status } = result
  if (status >= 200 && status < 300) return 'delivered'
  return status >= 500 || RETRIED_STATUS.has(status) ? 'failed' : 'rejected'
}

/**
 * Delay after `failures` failed attempts, at least 1. `share` is a random number from 0 to 1. The delay is at least the
 * target's Retry-After, up to the cap.
 */
export function delayMsAfter(
  failures: number,
  limits: RetryLimits,
  share: number,
  retryAfterMs: number | null,
): number {
  const { firstDelayMs, delayMsMax } = limits
  const boundMs = Math.min(delayMsMax, firstDelayMs * 2 ** Math.min(failures - 1, 30))
  return Math.min(delayMsMax, Math.max(Math.ceil(boundMs * share), retryAfterMs ?? 0))
}

/** The delay of a Retry-After header, given in seconds or as a date; null when it is invalid. */
export function retryAfterMsOf(header: string | null, nowMs: number): number | null {
  if (header === null) return null
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1_000
  const atMs = /GMT$/.test(header) ? Date.parse(header) : Number.NaN
  return Number.isNaN(atMs) ? null : Math.max(0, atMs - nowMs)
}

// The circuit breaker of one target. Closed: calls go through. Open: none does, for a time that doubles from one
// failed probe to the next. Half open: a single call, the probe, finds out.

/** States, as shown in metrics. */
export const CIRCUIT_STATES = ['closed', 'open', 'half_open'] as const
export type CircuitState = (typeof CIRCUIT_STATES)[number]

export interface CircuitLimits {
  /** Consecutive failures that open the circuit. */
  readonly failures: number
  /** First open time. */
  readonly openMs: number
  /** Longest open time, however many probes fail. */
  readonly openMsMax: number
}

/** True when a call may be made now. A probe is the only call until it has ended. */
export type Admission =
  | { readonly isAdmitted: true; readonly isProbe: boolean }
  /** `atMs`: when to ask again; null when the end of the probe decides. */
  | { readonly isAdmitted: false; readonly atMs: number | null }

/** Time comes from the caller, in ms of one monotonic clock. */
export class Circuit {
  readonly #limits: CircuitLimits
  #state: CircuitState = 'closed'
  #failuresInRow = 0
  #openMs = 0
  #openUntilMs = 0

  constructor(limits: CircuitLimits) {
    this.#limits = limits
  }

  get state(): CircuitState {
    return this.#state
  }

  /** An admitted call must be followed by `succeeded`, `failed` or `withdrawn`. */
  admit(nowMs: number): Admission {
    if (this.#state === 'closed') return { isAdmitted: true, isProbe: false }
    if (this.#state === 'half_open') return { isAdmitted: false, atMs: null }
    if (nowMs < this.#openUntilMs) return { isAdmitted: false, atMs: this.#openUntilMs }
    this.#state = 'half_open'
    return { isAdmitted: true, isProbe: true }
  }

  /**
   * The target answered, possibly with a refusal. Calls that were in flight when the circuit opened do not close it.
   */
  succeeded(isProbe: boolean): void {
    if (this.#state !== 'closed' && !isProbe) return
    this.#state = 'closed'
    this.#failuresInRow = 0
    this.#openMs = 0
  }

  failed(nowMs: number, isProbe: boolean): void {
    if (isProbe) this.#open(nowMs)
    else if (this.#state === 'closed') {
      this.#failuresInRow += 1
      if (this.#failuresInRow >= this.#limits.failures) this.#open(nowMs)
    }
  }

  /**
   * The call was cancelled by this process, so it is no evidence about the target: the next call is the probe instead.
   */
  withdrawn(isProbe: boolean): void {
    if (isProbe) this.#state = 'open'
  }

  #open(nowMs: number): void {
    const { openMs, openMsMax } = this.#limits
    this.#openMs = Math.min(this.#openMs === 0 ? openMs : this.#openMs * 2, openMsMax)
    this.#openUntilMs = nowMs + this.#openMs
    this.#state = 'open'
  }
}

// Selects the next message of one target and its time: it must be due, the circuit must admit it, and the rate must
// allow it. A message that waits for a retry delays only its own card.

/** A message with the time at which it is due. */
interface DueItem<Item> {
  readonly item: Item
  readonly dueAtMs: number
}

export type NextCall<Item> =
  | { readonly kind: 'call'; readonly item: Item; readonly isProbe: boolean }
  /** `atMs`: when to ask again; null when only the end of a running call, or a new message, changes the answer. */
  | { readonly kind: 'wait'; readonly atMs: number | null }

export interface DueQueueOptions {
  readonly circuit: CircuitLimits
  readonly ratePerSecondMax: number | null
}

/** Time comes from the caller, in ms of one monotonic clock. */
export class DueQueue<Item> {
  readonly circuit: Circuit
  readonly #intervalMs: number
  #items: DueItem<Item>[] = []
  #nextCallAtMs = Number.NEGATIVE_INFINITY

  constructor(options: DueQueueOptions) {
    this.circuit = new Circuit(options.circuit)
    this.#intervalMs = options.ratePerSecondMax === null ? 0 : 1_000 / options.ratePerSecondMax
  }

  get size(): number {
    return this.#items.length
  }

  /** Messages that are due leave in the order in which they became due. */
  add(item: Item, dueAtMs: number): void {
    this.#items.push({ item, dueAtMs })
  }

  /** Removes every waiting message. */
  clear(): void {
    this.#items = []
  }

  next(nowMs: number): NextCall<Item> {
    let first = 0
    for (let index = 1; index < this.#items.length; index += 1) {
      if (this.#dueAtMs(index) < this.#dueAtMs(first)) first = index
    }
    const dueAtMs = Math.max(this.#dueAtMs(first), this.#nextCallAtMs)
    if (dueAtMs > nowMs) return { kind: 'wait', atMs: Number.isFinite(dueAtMs) ? dueAtMs : null }
    const admission = this.circuit.admit(nowMs)
    if (!admission.isAdmitted) return { kind: 'wait', atMs: admission.atMs }
    const [found] = this.#items.splice(first, 1)
    if (found === undefined) throw new Error('A message that is due is in the queue.')
    // Calls are evenly spaced: there is no burst after a pause.
    this.#nextCallAtMs = nowMs + this.#intervalMs
    return { kind: 'call', item: found.item, isProbe: admission.isProbe }
  }

  #dueAtMs(index: number): number {
    return this.#items[index]?.dueAtMs ?? Number.POSITIVE_INFINITY
  }
}

// In-flight deliveries of one partition: messages in order, those that may be sent now, and the offset to commit. A
// message waits for earlier ones of its card, so that a release never overtakes its block; other cards do not wait. The
// offset to commit is that of the first unfinished message, however many behind it are finished.

/** One message in flight. */
export interface WindowEntry<Item> {
  readonly offset: number
  readonly card: string
  readonly item: Item
}

interface Place<Item> extends WindowEntry<Item> {
  isDone: boolean
}

export class DeliveryWindow<Item> {
  /** In offset order; finished ones at the start are removed. */
  readonly #places: Place<Item>[] = []
  /** Unfinished messages by card, in order. Only the first of each card may be sent. */
  readonly #cards = new Map<string, Place<Item>[]>()
  #nextOffset: number

  /** `nextOffset`: the partition's first unfinished offset. */
  constructor(nextOffset: number) {
    this.#nextOffset = nextOffset
  }

  /** Messages in flight, including finished ones that wait for an earlier one. */
  get size(): number {
    return this.#places.length
  }

  /** The first unfinished offset. */
  get nextOffset(): number {
    return this.#places[0]?.offset ?? this.#nextOffset
  }

  /** The next message to add has this offset or a later one. */
  get takenTo(): number {
    return this.#nextOffset
  }

  /** The oldest unfinished message. */
  get oldest(): WindowEntry<Item> | null {
    return this.#places[0] ?? null
  }

  /** Adds the next message of the partition. Returns it when it may be sent at once, else null. */
  add(offset: number, card: string, item: Item): WindowEntry<Item> | null {
    const place = { offset, card, item, isDone: false }
    this.#places.push(place)
    this.#nextOffset = offset + 1
    const before = this.#cards.get(card)
    if (before === undefined) {
      this.#cards.set(card, [place])
      return place
    }
    before.push(place)
    return null
  }

  /** Adds a message that needs no delivery. */
  pass(offset: number): void {
    this.#nextOffset = offset + 1
    if (this.#places.length === 0) return
    this.#places.push({ offset, card: '', item: undefined as Item, isDone: true })
  }

  /** Marks a message as finished. Returns the next one of its card, which may be sent now. */
  done({ offset, card }: WindowEntry<Item>): WindowEntry<Item> | null {
    const waiting = this.#cards.get(card)
    const first = waiting?.[0]
    if (waiting === undefined || first?.offset !== offset) {
      throw new Error(`Offset ${offset} is not the first of its card.`)
    }
    waiting.shift()
    first.isDone = true
    let count = 0
    while (this.#places[count]?.isDone === true) count += 1
    this.#places.splice(0, count)
    const next = waiting[0]
    if (next === undefined) this.#cards.delete(card)
    return next ?? null
  }
}
