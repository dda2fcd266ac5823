// Timers of kafkajs' queues of requests. After each answer kafkajs sets a timer for the end of a throttling, even when
// the broker throttles nobody: its delay is then negative, which Node 24 warns of on standard error, and it fires and
// is set again every millisecond for as long as the connection lives. Here a queue has a timer only while requests
// wait in it. A kafkajs without that method is left as it is.

import { createRequire } from 'node:module'

/** How often a queue looks whether a request can go, where no throttling says when. */
const POLL_MS = 10

/** The part of a queue of kafkajs that sets the timer. */
export interface RequestQueue {
  readonly pending: readonly unknown[]
  /** Milliseconds since 1970; -1 when the broker has never throttled. */
  readonly throttledUntil: number
  throttleCheckTimeoutId: NodeJS.Timeout | null | undefined
  checkPendingRequests(): void
  scheduleCheckPendingRequests(): void
}

/** Replaces the method in all queues of this class. An answer and a new request both call it again. */
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

/** Does that for all clients of this process, once. */
export function waitOnlyWhenPending(): void {
  if (isDone) return
  isDone = true
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as {
    prototype: Partial<RequestQueue>
  }
  if (typeof prototype.scheduleCheckPendingRequests === 'function')
    scheduleIn(prototype as RequestQueue)
}
