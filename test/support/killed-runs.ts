// Runs of the integrity suites with kills: the same input, decided by scorers that end by SIGKILL at seeded random
// points of progress, and finally by one that is not killed.

import { strictEqual } from 'node:assert/strict'
import { setTimeout as sleepMs } from 'node:timers/promises'
import type { TestContext } from 'node:test'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { partsOf } from './event-parts.ts'
import type { Guard } from './careless-scorer.ts'
import { followOutputs, type Outputs } from './outputs.ts'
import { eventually } from './poll.ts'
import { startScorer } from './scorer-process.ts'
import { seededNumbers } from './seeded-numbers.ts'
import { openStream, SHORT_SESSION, type TestStream } from './streams.ts'

export interface Killing {
  readonly stream: TestStream
  readonly outputs: Outputs
  readonly kills: number
}

export interface KillingOptions {
  /** Names the stream. */
  readonly name: string
  readonly seed: number
  readonly kills: number
  readonly batchSizeMax: number
  /** Largest delay of a kill after a commit. */
  readonly delayMsMax: number
  /** The guard that the killed scorers lack; null for none. */
  readonly without: Guard | null
  /** Further variables of the scorers. */
  readonly more?: Readonly<Record<string, string>>
}

const NAMED = { SLUICE_GROUP_INSTANCE_ID: 'killed' } as const

/** Decides the events while scorers are killed, then undisturbed to the end. */
export async function decideWithKills(
  t: TestContext,
  events: readonly ProducedEvent[],
  options: KillingOptions,
): Promise<Killing> {
  const { batchSizeMax, delayMsMax, without, more = {} } = options
  const stream = await openStream(t, `${options.name}-${without ?? 'real'}`)
  const outputs = followOutputs(t, stream)
  // Always one part ahead: however late a kill comes, input is left for it and for the following scorers.
  const [begun = [], ...ahead] = partsOf(events, options.kills + 2)
  await stream.send(begun)
  const environment = stream.environment({
    SLUICE_BATCH_SIZE_MAX: String(batchSizeMax),
    ...more,
  })
  const isFull = process.env['SLUICE_FULL'] === '1'
  const random = seededNumbers(options.seed)
  const transactions = events.filter(({ kind }) => kind === 'transaction').length
  const batchesBetweenMax = Math.max(1, Math.floor(transactions / batchSizeMax / options.kills))
  let kills = 0
  while (kills < options.kills) {
    await stream.send(ahead[kills] ?? [])
    // A member with the same name continues at once, while the killed one's transaction is still open. Without a name
    // (every second one of the long run), the group first waits until the killed one's session expires.
    const isNamed = !isFull || kills % 2 === 0
    const session = isNamed ? NAMED : SHORT_SESSION
    const scorer = await startScorer(t, { ...environment, ...session }, without)
    const target = outputs.decisionBatches.length + 1 + (random() % batchesBetweenMax)
    await outputs.until(
      'the next kill',
      () => outputs.decisionBatches.length >= target || outputs.isCaughtUp,
    )
    await sleepMs(random() % delayMsMax)
    await scorer.end('SIGKILL')
    kills += 1
  }
  await stream.send(ahead.at(-1) ?? [])
  const scorer = await startScorer(t, { ...environment, ...NAMED }, without)
  await outputs.readToEnd()
  // Live, a partition may have started without its state.
  await eventually('every partition has its state', async () => {
    const { body } = await scorer.page('/readyz')
    return body.includes('"degradedPartitions":[]')
  })
  strictEqual(await scorer.end('SIGTERM'), 0)
  return { stream, outputs, kills }
}
