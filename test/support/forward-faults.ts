// Faults of a target of an observed system: it is away, it refuses its events, and it is late.

import type { TestContext } from 'node:test'
import { alertMessages, blockOf, openSender } from './acting.ts'
import type { AlertWatch } from './alert-watch.ts'
import type { ObservedSystem } from './observed-system.ts'
import type { WebhookReceiver } from './webhook-receiver.ts'

/** Beyond the accepted delay of a target. */
const LATE_MS = 1_200_000

/** Causes each fault, waits for its alert, repairs it, and waits until the alert has cleared. */
export async function breakTarget(
  t: TestContext,
  { stream }: ObservedSystem,
  target: WebhookReceiver,
  { fires, clears }: Pick<AlertWatch, 'fires' | 'clears'>,
): Promise<void> {
  const send = await openSender(t, stream)
  target.answer = () => 503
  await fires('SluiceForwardTargetFailing')
  target.answer = () => 422
  await fires('SluiceForwardDeadLetters')
  await clears('SluiceForwardTargetFailing')
  // One alert that is already old gets no answer, while others do.
  const late = blockOf('late', 1, {
    ...{ action: 'flag', lease: null },
    decidedAtMs: Date.now() - LATE_MS,
  })
  target.answer = ({ data }) => (data?.alertId === late.alertId ? 'hang' : 204)
  await send('alerts', alertMessages(stream, [late]))
  await fires('SluiceForwardTargetLate')
  target.answer = () => 204
  target.release(204)
  await clears('SluiceForwardTargetLate', 'SluiceForwardDeadLetters')
}
