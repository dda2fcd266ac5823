// The reference of the integrity suites: the same input, decided by one scorer without faults.

import { deepStrictEqual } from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { alertsByPlace, audit, decisionsByPlace } from './audit.ts'
import { followOutputs, type Outputs } from './outputs.ts'
import { startScorer } from './scorer-process.ts'
import { openStream, type TestStream } from './streams.ts'

export interface Decided {
  readonly decisions: ReadonlyMap<string, string>
  readonly alerts: ReadonlyMap<string, string>
}

/** Decides the events on a stream of their own. Its batches are as large as they come, unlike those of the tests. */
export async function decideInPeace(
  t: TestContext,
  events: readonly ProducedEvent[],
  more: Readonly<Record<string, string>> = {},
): Promise<{ readonly stream: TestStream; readonly outputs: Outputs }> {
  const stream = await openStream(t, 'reference')
  const outputs = followOutputs(t, stream)
  await stream.send(events)
  const scorer = await startScorer(t, stream.environment({ SLUICE_ALIGNMENT: 'aligned', ...more }))
  await outputs.readToEnd()
  await scorer.end('SIGTERM')
  return { stream, outputs }
}

/** The same, audited. */
export async function decideUndisturbed(
  t: TestContext,
  events: readonly ProducedEvent[],
  more: Readonly<Record<string, string>> = {},
): Promise<Decided> {
  const { stream, outputs } = await decideInPeace(t, events, more)
  deepStrictEqual(await audit(stream, outputs), [])
  return { decisions: decisionsByPlace(outputs), alerts: alertsByPlace(outputs) }
}
