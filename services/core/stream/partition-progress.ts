// Progress of a partition: stored in Redis with the state (what the state covers), and with the committed offset in
// Kafka (what is decided). The two differ after a crash.

import type { PartitionPosition } from '../features/engine/partition-fold.ts'
import type { Frontier } from '../features/state/entity-part.ts'

export type { Frontier }

/**
 * Version of the layout of keys and progress. Part of every key but the epoch's, so that a scorer with another layout
 * never uses our state: it finds its own progress, which is behind by our work, and applies the log from there.
 */
export const STATE_LAYOUT = 1

/** Coverage of a partition's state; written together with the state. */
export interface PartitionProgress extends PartitionPosition, Frontier {
  /** Names the keys that hold the state; each rebuild uses a new number, which no earlier state can have had. */
  readonly generation: number
  /** Offsets below these are in the state. */
  readonly nextOffset: number
  readonly labelNextOffset: number
}

/** Metadata of the committed offset of transactions. */
export interface CommitMetadata {
  readonly position: PartitionPosition
  /** Hash of the last decision batch, base64; empty before the first. */
  readonly chainHash: string
}

/** The further of two: progress never goes back, since state written before a crash stays. */
export function furthest(a: PartitionProgress, b: PartitionProgress): PartitionProgress {
  return {
    generation: a.generation,
    nextOffset: Math.max(a.nextOffset, b.nextOffset),
    labelNextOffset: Math.max(a.labelNextOffset, b.labelNextOffset),
    newestEventMs: Math.max(a.newestEventMs, b.newestEventMs),
    watermarkMs: Math.max(a.watermarkMs, b.watermarkMs),
    labelWatermarkMs: Math.max(a.labelWatermarkMs, b.labelWatermarkMs),
  }
}

/** True when `frontier` is behind `other` in either topic. */
export function isBehind(frontier: Frontier, other: Frontier): boolean {
  return frontier.nextOffset < other.nextOffset || frontier.labelNextOffset < other.labelNextOffset
}

/** Pages of messages stored with a partition's state, from `from` up to, but not including, `to`. */
export interface PageRun {
  readonly from: number
  readonly to: number
  /** Newest event time of the run's first page when it was first written, and of all its messages by now. */
  readonly beginMs: number
  readonly newestMs: number
}

/** Most runs of pages of a partition; usually it has six or seven. */
export const PAGE_RUNS_MAX = 32

/** `runs` are the pages of messages stored with the state, oldest first. */
export function encodeProgress(progress: PartitionProgress, runs: readonly PageRun[] = []): string {
  const pages = runs.map(({ from, to, beginMs, newestMs }) => [from, to, beginMs, newestMs])
  return JSON.stringify({
    layout: STATE_LAYOUT,
    ...progress,
    ...(pages.length > 0 && { pages }),
  })
}

/**
 * The pages of messages stored with the state of this generation, as encoded with its progress. Empty when they are
 * unreadable: then they stay until their time to live has passed.
 */
export function pageRunsOf(text: string, generation: number): readonly PageRun[] {
  if (decodeProgress(text)?.generation !== generation) return []
  const pages = parseObject(text)?.['pages']
  if (!Array.isArray(pages) || pages.length > PAGE_RUNS_MAX) return []
  const runs: PageRun[] = []
  for (const run of pages as unknown[]) {
    if (!Array.isArray(run) || run.length !== 4 || !run.every(Number.isFinite)) return []
    const [from, to, beginMs, newestMs] = run as [number, number, number, number]
    runs.push({ from, to, beginMs, newestMs })
  }
  return runs
}

/** Null when there is none or it is unreadable: the state is then not trusted. */
export function decodeProgress(text: string | null): PartitionProgress | null {
  const fields = parseObject(text)
  if (fields === null || fields['layout'] !== STATE_LAYOUT) return null
  const read = (name: string): number => {
    const value = fields[name]
    return typeof value === 'number' ? value : NaN
  }
  const progress: PartitionProgress = {
    generation: read('generation'),
    nextOffset: read('nextOffset'),
    labelNextOffset: read('labelNextOffset'),
    newestEventMs: read('newestEventMs'),
    watermarkMs: read('watermarkMs'),
    labelWatermarkMs: read('labelWatermarkMs'),
  }
  return Object.values(progress).every(Number.isFinite) ? progress : null
}

export function encodeMetadata({ position, chainHash }: CommitMetadata): string {
  const { newestEventMs, watermarkMs, labelWatermarkMs } = position
  return JSON.stringify([newestEventMs, watermarkMs, labelWatermarkMs, chainHash])
}

/** Null when another program committed the offset, without our metadata. */
export function decodeMetadata(text: string | null): CommitMetadata | null {
  let fields: unknown
  try {
    fields = JSON.parse(text ?? '')
  } catch {
    return null
  }
  if (!Array.isArray(fields) || fields.length !== 4) return null
  const [newestEventMs, watermarkMs, labelWatermarkMs, chainHash] = fields as unknown[]
  if (typeof newestEventMs !== 'number' || typeof watermarkMs !== 'number') return null
  if (typeof labelWatermarkMs !== 'number' || typeof chainHash !== 'string') return null
  return { position: { newestEventMs, watermarkMs, labelWatermarkMs }, chainHash }
}

function parseObject(text: string | null): Record<string, unknown> | null {
  if (text === null) return null
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : null
  } catch {
    return null
  }
}
