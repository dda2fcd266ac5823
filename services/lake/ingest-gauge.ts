// What a running ingest tells its metrics: events as they come, and every few seconds where it stands.

import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { TOPIC_TABLES, type TopicTable } from '../core/lake/lake-tables.ts'
import { readLakeState } from '../platform/lake/commit-log.ts'
import { errorCodeOf } from '../platform/lake/durable-files.ts'
import type { LakeTelemetry } from '../platform/metrics/lake-telemetry.ts'
import type { IngestOptions, IngestStatus } from './ingest.ts'
import { LakeLag } from './lake-lag.ts'
import type { TopicEnds } from './topic-ends.ts'

/** The events of an ingest that are told. */
type IngestEvents = Required<Pick<IngestOptions, 'onChecked' | 'onErased' | 'onFlush' | 'onMerge'>>

export class IngestGauge {
  readonly #telemetry: LakeTelemetry
  readonly #ends: TopicEnds
  readonly #clock: Clock
  readonly #lag = new LakeLag()
  readonly #newestMs = new Map<TopicTable, number>()
  #status: IngestStatus | null = null
  #isTelling = false

  constructor(telemetry: LakeTelemetry, ends: TopicEnds, clock: Clock) {
    this.#telemetry = telemetry
    this.#ends = ends
    this.#clock = clock
  }

  /** When files that are there already were made is what the disk says. */
  async readNewest(folder: string): Promise<void> {
    for (const { table, path } of (await readLakeState(folder)).files.values()) {
      if (table === 'checks') continue
      try {
        const { mtimeMs } = await stat(join(folder, path))
        this.#newestMs.set(table, Math.max(this.#newestMs.get(table) ?? 0, mtimeMs))
      } catch (error) {
        if (errorCodeOf(error) !== 'ENOENT') throw error
      }
    }
  }

  /** From now on it is told where this ingest stands; after its end too, since what waits then waits on. */
  follow(status: IngestStatus): void {
    this.#status = status
    this.#telemetry.following(true)
    void this.tell()
  }

  readonly events: IngestEvents = {
    onChecked: (results) => {
      this.#telemetry.checked(results)
    },
    onFlush: ({ rows, bytesOf: bytes, unreadableOf: unreadable, tookMs }) => {
      this.#telemetry.flushed({ rows, bytes, unreadable, tookMs })
      if (this.#telemetry.isFailing) this.#telemetry.failing(false)
      for (const table of TOPIC_TABLES) {
        if (rows[table] > 0) this.#newestMs.set(table, this.#clock.nowMs())
      }
    },
    onMerge: ({ filesBefore }) => {
      this.#telemetry.compacted(filesBefore)
    },
    onErased: ({ rows }) => {
      this.#telemetry.erased(rows)
    },
  }

  /** Says where the ingest stands; one at a time. */
  async tell(): Promise<void> {
    const status = this.#status
    if (status === null || this.#isTelling) return
    this.#isTelling = true
    try {
      const ends = await this.#ends.read()
      const nowMs = this.#clock.nowMs()
      this.#telemetry.lagged(this.#lag.read(status.standings(), ends, nowMs))
      for (const table of TOPIC_TABLES) {
        const files = [...status.state.files.values()].filter((file) => file.table === table)
        const newestMs = this.#newestMs.get(table)
        const isTold = files.length > 0 && newestMs !== undefined
        this.#telemetry.stood(table, files.length, isTold ? nowMs - newestMs : null)
      }
    } finally {
      this.#isTelling = false
    }
  }
}
