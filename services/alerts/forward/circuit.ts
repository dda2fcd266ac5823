// The circuit breaker of one target. Closed: calls go through. Open: none does, for a time that doubles from one
// failed probe to the next. Half open: a single call, the probe, finds out.

/** States, as shown in metrics. */
export const CIRCUIT_STATES = ['closed', 'open', 'half_open'] as const
export type CircuitState = (typeof CIRCUIT_STATES)[number]

export interface CircuitLimits {
  /** Failures in a row that open it. */
  readonly failures: number
  /** How long it is open at first. */
  readonly openMs: number
  /** How long at most, however many probes fail. */
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
