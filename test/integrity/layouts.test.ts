// Goal: a new layout of stored values is read before it is written, so that an upgrade, scorers of both layouts side
// by side, and the way back change nothing. Method: scorers that write different layouts share and hand over the
// partitions of one stream; decisions and state against an undisturbed run and the fold of the log.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  VALUE_LAYOUT_DEFAULT,
  VALUE_LAYOUT_NEWEST,
} from '../../services/platform/redis/value-layouts.ts'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { audit, decisionsByPlace, differences } from '../support/audit.ts'
import { partsOf } from '../support/event-parts.ts'
import { foldWhole, logsOfSent } from '../support/live-oracle.ts'
import { followOutputs } from '../support/outputs.ts'
import { eventually } from '../support/poll.ts'
import { startScorer } from '../support/scorer-process.ts'
import { layoutsIn, normalStateIn, normalStateOf } from '../support/stored-state.ts'
import { openStream, simulatedEvents } from '../support/streams.ts'
import { decideUndisturbed } from '../support/undisturbed.ts'

test('scorers that write two layouts run side by side, and neither the upgrade nor its rollback changes a decision', async (t) => {
  const events = await simulatedEvents(8_000)
  const reference = await decideUndisturbed(t, events)
  const stream = await openStream(t, 'layouts')
  const outputs = followOutputs(t, stream)
  const start = (layout: number) =>
    startScorer(
      t,
      stream.environment({
        SLUICE_ALIGNMENT: 'aligned',
        SLUICE_BATCH_SIZE_MAX: '64',
        SLUICE_STATE_LAYOUT: String(layout),
      }),
    )
  // Part by part: scorers that had all of it could be done before the next one has joined.
  const [first = [], second = [], third = [], left = []] = partsOf(events, 4)
  const decideSome = async (part: readonly ProducedEvent[], blocks: number): Promise<void> => {
    const target = outputs.blocks.length + blocks
    await stream.send(part)
    await outputs.until('more blocks', () => outputs.blocks.length >= target)
  }
  const before = await start(VALUE_LAYOUT_DEFAULT)
  await decideSome(first, 15)
  const upgraded = await start(VALUE_LAYOUT_NEWEST)
  await eventually('both have lanes', async () => {
    const lanes = [before, upgraded].map((scorer) => scorer.metric('sluice_lanes'))
    return (await Promise.all(lanes)).join() === '2,2'
  })
  await decideSome(second, 20)
  ok((await layoutsIn(stream.redisUrl, stream.streamId)).has(VALUE_LAYOUT_DEFAULT))
  strictEqual(await before.end('SIGTERM'), 0)
  await decideSome(third, 20)
  const met = await layoutsIn(stream.redisUrl, stream.streamId)
  ok(met.has(VALUE_LAYOUT_DEFAULT) && met.has(VALUE_LAYOUT_NEWEST), [...met].join())
  const back = await start(VALUE_LAYOUT_DEFAULT)
  strictEqual(await upgraded.end('SIGTERM'), 0)
  await stream.send(left)
  await outputs.readToEnd()
  strictEqual(await back.end('SIGTERM'), 0)
  deepStrictEqual(audit(stream, outputs).slice(0, 20), [])
  deepStrictEqual(differences(reference.decisions, decisionsByPlace(outputs)).slice(0, 5), [])
  const whole = normalStateOf(foldWhole(logsOfSent(events), 'aligned'))
  const stored = await normalStateIn(stream.redisUrl, stream.streamId)
  deepStrictEqual(differences(whole, stored).slice(0, 3), [])
})
