// One attempt: the signed request, its time limit, and no more of the answer than its status.

import type { Clock } from '../../core/clock.ts'
import { buildVersion } from '../../platform/build-version.ts'
import { type AlertEvent, EVENT_CONTENT_TYPE } from './cloud-event.ts'
import { type AttemptResult, retryAfterMsOf } from './delivery-schedule.ts'
import { ID_HEADER, SIGNATURE_HEADER, signatureHeader, TIMESTAMP_HEADER } from './signature.ts'
import type { Target } from './targets-file.ts'

/** Bytes of an answer that are read so that its connection can be used again; a longer answer costs its connection. */
const ANSWER_BYTES_MAX = 65_536

/** Posts the event once. Null: the signal broke it off, which says nothing of the target. */
export type SendEvent = (
  target: Target,
  event: AlertEvent,
  signal: AbortSignal,
) => Promise<AttemptResult | null>

/** Sends with `fetch`, which keeps connections by address: a target that hangs holds only its own. */
export function openSender(clock: Clock): SendEvent {
  const agent = `sluice/${buildVersion()}`
  return async (target, event, signal) => {
    const limit = AbortSignal.timeout(target.timeoutMs)
    // Signed anew for each attempt: a repeat with the first time stamp would be too old for its receiver one day.
    const timestampS = Math.floor(clock.nowMs() / 1_000)
    try {
      const answer = await fetch(target.url, {
        method: 'POST',
        headers: {
          'content-type': EVENT_CONTENT_TYPE,
          'user-agent': agent,
          [ID_HEADER]: event.id,
          [TIMESTAMP_HEADER]: String(timestampS),
          [SIGNATURE_HEADER]: signatureHeader(target.keys, event.id, timestampS, event.body),
        },
        body: event.body,
        // A redirection would carry the alert to an address that nobody has chosen.
        redirect: 'manual',
        signal: AbortSignal.any([signal, limit]),
      })
      await drain(answer.body)
      const retryAfterMs = retryAfterMsOf(answer.headers.get('retry-after'), clock.nowMs())
      return { kind: 'answered', status: answer.status, retryAfterMs }
    } catch {
      if (signal.aborted) return null
      return { kind: limit.aborted ? 'timeout' : 'no_connection' }
    }
  }
}

async function drain(body: ReadableStream<Uint8Array> | null): Promise<void> {
  if (body === null) return
  const reader = body.getReader()
  for (let bytes = 0; bytes <= ANSWER_BYTES_MAX;) {
    const { done, value } = await reader.read()
    if (done) return
    bytes += value.length
  }
  await reader.cancel()
}
