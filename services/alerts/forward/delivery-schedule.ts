// Verdict on an answer, and the delay before a retry: full jitter under a bound that doubles up to a cap.

/** Result of one attempt. */
export type AttemptResult =
  | { readonly kind: 'answered'; readonly status: number; readonly retryAfterMs: number | null }
  | { readonly kind: 'timeout' | 'no_connection' }

/** Consequence of an attempt. */
export const VERDICTS = ['delivered', 'rejected', 'failed'] as const
export type Verdict = (typeof VERDICTS)[number]

export interface RetryLimits {
  readonly attemptsMax: number
  readonly firstDelayMs: number
  readonly delayMsMax: number
}

/** Refusals that pass: a time-out, too early, too many requests. */
const RETRIED_STATUS: ReadonlySet<number> = new Set([408, 425, 429])

/** Any other answer below 500 would be the same the next time, a redirection included: we follow none. */
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

/** The time that a Retry-After header asks for, in seconds or as a date; null when it says nothing usable. */
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
  /** Failures in a row that open it. */
  readonly failures: number
  /** Time that it is open at first. */
  readonly openMs: number
  /** Longest time that it is open, however many probes fail. */
  readonly openMsMax: number
}

/** Whether a call may be made now. A probe is the only call until it has ended. */
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

  /** The target answered, be it with a refusal. Calls that were on their way when it opened do not close it. */
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

  /** The call was broken off by ourselves and says nothing of the target: the next one probes in its place. */
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

// Which message of one target goes out next, and when: it must be due, the circuit must let it through, and the rate
// must allow it. A message that waits for another try holds up nobody but its own card.

/** One message that may go out once it is due. */
interface DueItem<Item> {
  readonly item: Item
  readonly dueAtMs: number
}

export type NextCall<Item> =
  | { readonly kind: 'call'; readonly item: Item; readonly isProbe: boolean }
  /** `atMs`: when to ask again; null when a call that runs, or a new message, decides. */
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

  /** Among messages that are due, those that became due first go first. */
  add(item: Item, dueAtMs: number): void {
    this.#items.push({ item, dueAtMs })
  }

  /** Forgets every message that waits. */
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
    // Evenly spaced: there is no burst after a pause.
    this.#nextCallAtMs = nowMs + this.#intervalMs
    return { kind: 'call', item: found.item, isProbe: admission.isProbe }
  }

  #dueAtMs(index: number): number {
    return this.#items[index]?.dueAtMs ?? Number.POSITIVE_INFINITY
  }
}

// Deliveries in progress of one partition: messages in order, those that may be sent now, and the offset to commit.
//
// A message waits for those of its card before it, so that a release never overtakes its block; other cards do not
// wait. The offset to commit is that of the first message that is not done, however many behind it are.

/** One message in hand. */
export interface WindowEntry<Item> {
  readonly offset: number
  readonly card: string
  readonly item: Item
}

interface Place<Item> extends WindowEntry<Item> {
  isDone: boolean
}

export class DeliveryWindow<Item> {
  /** By offset; those done at the start are cut off. */
  readonly #places: Place<Item>[] = []
  /** By card: those not done, in order. Only the first of each may go out. */
  readonly #cards = new Map<string, Place<Item>[]>()
  #nextOffset: number

  /** `nextOffset`: first offset of the partition that is not done. */
  constructor(nextOffset: number) {
    this.#nextOffset = nextOffset
  }

  /** Messages in hand, done ones that wait for an earlier one included. */
  get size(): number {
    return this.#places.length
  }

  /** First offset that is not done. */
  get nextOffset(): number {
    return this.#places[0]?.offset ?? this.#nextOffset
  }

  /** The next message to take has this offset or a later one. */
  get takenTo(): number {
    return this.#nextOffset
  }

  /** The oldest message that is not done. */
  get oldest(): WindowEntry<Item> | null {
    return this.#places[0] ?? null
  }

  /** Takes the next message of the partition. Returns it when it may go out at once, else null. */
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

  /** Takes a message that nothing is to be done about. */
  pass(offset: number): void {
    this.#nextOffset = offset + 1
    if (this.#places.length === 0) return
    this.#places.push({ offset, card: '', item: undefined as Item, isDone: true })
  }

  /** Notes that a message is done. Returns the next of its card, which may go out now. */
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
