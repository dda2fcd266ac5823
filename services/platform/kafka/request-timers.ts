// Fixes the timers of kafkajs' request queues. After each answer kafkajs sets a timer for the end of throttling, even
// when the broker does not throttle. Its delay is then negative, which Node 24 warns about on standard error, and it
// fires and is set again every millisecond while the connection lives. With this fix a queue has a timer only while
// requests wait in it. A kafkajs without that method is left alone.

import { createRequire } from 'node:module'

/** Interval at which a queue checks whether a request can be sent, when the broker does not throttle. */
const POLL_MS = 10

/** The part of a kafkajs request queue that sets the timer. */
export interface RequestQueue {
  readonly pending: readonly unknown[]
  /** Milliseconds since 1970; -1 when the broker has never throttled. */
  readonly throttledUntil: number
  throttleCheckTimeoutId: NodeJS.Timeout | null | undefined
  checkPendingRequests(): void
  scheduleCheckPendingRequests(): void
}

/** Replaces the method in all queues of this class. Every answer and every new request calls it again. */
export function scheduleIn(prototype: RequestQueue): void {
  prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length === 0 || isSet(this.throttleCheckTimeoutId)) return
    const throttledMs = this.throttledUntil - Date.now()
    this.throttleCheckTimeoutId = setTimeout(
      () => {
        this.throttleCheckTimeoutId = null
        this.checkPendingRequests()
      },
      throttledMs > 0 ? throttledMs : POLL_MS,
    )
  }
}

function isSet(timer: NodeJS.Timeout | null | undefined): boolean {
  return timer !== null && timer !== undefined
}

let isDone = false

/** Fixes the queues of all clients of this process, once. */
export function waitOnlyWhenPending(): void {
  if (isDone) return
  isDone = true
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as {
    prototype: Partial<RequestQueue>
  }
  if (typeof prototype.scheduleCheckPendingRequests === 'function')
    scheduleIn(prototype as RequestQueue)
}
