// Every Redis key is built here. The braces keep all keys of one lane on one slot of a cluster, so that the
// fence and the values it guards change together, and a reader of a lane sees one moment of it.

const PREFIX = 'sluice'

/** Keys of one lane of one stream. `generation` is layout and rebuild number. */
export function laneKeys(streamId: string, partition: number) {
  const lane = `${PREFIX}:{${streamId}:${partition}}`
  return {
    epoch: `${lane}:epoch`,
    progress: `${lane}:progress`,
    card: (generation: number, card: string) => `${lane}:${generation}:c:${card}`,
    terminal: (generation: number, terminal: string) => `${lane}:${generation}:t:${terminal}`,
  } as const
}

export type LaneKeys = ReturnType<typeof laneKeys>

/** Matches every key of a stream, whatever the lane. */
export function streamKeyPattern(streamId: string): string {
  return `${PREFIX}:{${streamId}:*`
}
