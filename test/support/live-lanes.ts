// Live lanes without Kafka and Redis: nobody waits, batches see of the other lanes what was there when they began, and
// what that was is recorded. The same rows must come out of the logs and the records alone.

import { LANE_START } from '../../services/core/features/engine/lane-fold.ts'
import type { AlignedStream, Turn } from './aligned-lanes.ts'
import { foldEntries, openFold, PlainState, type FoldedRow, type LaneLog } from './fold-entries.ts'
import {
  horizonOf,
  offsetsAt,
  StoredLane,
  StoredLanes,
  type Cuts,
  type LogPosition,
} from './stored-lanes.ts'

/** What a decision block says of its batch. */
export interface RecordedBatch {
  readonly lane: number
  readonly from: LogPosition
  readonly to: LogPosition
  readonly cuts: Cuts
}

export interface LiveRun {
  /** By lane and offset. */
  readonly rows: ReadonlyMap<string, FoldedRow>
  readonly batches: readonly RecordedBatch[]
}

/** Lanes that take their turns as told, and otherwise in order. Only what was committed is kept. */
export function foldLive({ logs }: Pick<AlignedStream, 'logs'>, turns: readonly Turn[]): LiveRun {
  const stored = new StoredLanes(logs.length)
  const lanes = logs.map((log, partition) => new StoredLane(stored, partition, log))
  const rows = new Map<string, FoldedRow>()
  const batches: RecordedBatch[] = []
  const take = (index: number, turn: Turn): void => {
    const [lane, log] = [lanes[index], logs[index]]
    if (lane === undefined || log === undefined) return
    const from = lane.at
    const to = {
      entryCount: Math.min(from.entryCount + turn.entries, log.entries.length),
      labelCount: Math.min(from.labelCount + turn.labels, log.labels.length),
    }
    const cuts = [...stored.progress]
    const folded = lane.step(to, cuts)
    if (turn.crashes) {
      lane.crash()
      return
    }
    lane.commit()
    for (const row of folded) rows.set(`${index}/${row.offset}`, row)
    batches.push({ lane: index, from, to, cuts })
  }
  for (const turn of turns) take(turn.lane % logs.length, turn)
  const last: Turn = { lane: 0, labels: 20, entries: 20, looks: true, crashes: false }
  while (lanes.some((lane) => !lane.isAtEnd)) for (const index of lanes.keys()) take(index, last)
  return { rows, batches }
}

/** The rows from the logs and the records, in memory, one lane after the other. */
export function recomputeLive(
  logs: readonly LaneLog[],
  batches: readonly RecordedBatch[],
): ReadonlyMap<string, FoldedRow> {
  const whole = logs.map((log) => {
    const state = new PlainState()
    foldEntries(log.labels, log.entries, Infinity, openFold(LANE_START), state)
    return state
  })
  const rows = new Map<string, FoldedRow>()
  for (const [lane, log] of logs.entries()) {
    const all = [...whole]
    const state = new PlainState(all)
    all[lane] = state
    const fold = openFold(LANE_START)
    for (const { from, to, cuts } of batches.filter((batch) => batch.lane === lane)) {
      state.cuts = cuts
      state.entityHorizonMs = horizonOf(cuts, lane)
      const labels = log.labels.slice(from.labelCount, to.labelCount)
      const entries = log.entries.slice(from.entryCount, to.entryCount)
      const { labelNextOffset } = offsetsAt(log, to)
      for (const row of foldEntries(labels, entries, labelNextOffset, fold, state)) {
        rows.set(`${lane}/${row.offset}`, row)
      }
    }
  }
  return rows
}
