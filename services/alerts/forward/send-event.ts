// One attempt: sends the signed request within a time limit, and reads only the status of the answer.

import type { Clock } from '../../core/clock.ts'
import { buildVersion } from '../../platform/build-version.ts'
import { type AlertEvent, EVENT_CONTENT_TYPE } from './cloud-event.ts'
import { type AttemptResult, retryAfterMsOf } from './delivery-schedule.ts'
import { ID_HEADER, SIGNATURE_HEADER, signatureHeader, TIMESTAMP_HEADER } from './signature.ts'
import type { Target } from './targets-file.ts'

/** Most bytes of an answer that are read to keep its connection; after a longer answer the connection is closed. */
const ANSWER_BYTES_MAX = 65_536

/** Posts the event once. Null when the signal cancelled it, which is no evidence about the target. */
export type SendEvent = (
  target: Target,
  event: AlertEvent,
  signal: AbortSignal,
) => Promise<AttemptResult | null>

/** Sends with `fetch`, which pools connections by address: a target that hangs blocks only its own. */
export function openSender(clock: Clock): SendEvent {
  const agent = `sluice/${buildVersion()}`
  return async (target, event, signal) => {
    const limit = AbortSignal.timeout(target.timeoutMs)
    // Each attempt is signed again: a repeat with the first time stamp would become too old for the receiver.
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
        // A redirection would carry the alert to an unconfigured address.
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
