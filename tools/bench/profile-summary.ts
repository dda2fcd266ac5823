// Reads a processor profile (.cpuprofile) and reports the time by area and by function.

import assert from 'node:assert/strict'

/** Files of one area, the first that matches wins. */
const AREAS: readonly [area: string, file: RegExp][] = [
  ['kafkajs', /node_modules\/kafkajs\//],
  ['redis client', /node_modules\/(?:ioredis|@ioredis|redis-parser|denque|standard-as-callback)\//],
  ['tensorflow', /node_modules\/@tensorflow\/|platform\/tensorflow\/|core\/scoring\/|^wasm:/],
  ['wire', /node_modules\/avsc\/|core\/wire\//],
  ['features', /core\/features\/(?:partition-fold|feature-|card-aggregates|geo|time)/],
  ['state codec', /core\/features\//],
  ['state store', /platform\/redis\//],
  ['metrics', /node_modules\/prom-client\/|platform\/metrics\//],
  ['scorer', /services\/(?:scorer|core|platform)\//],
  ['node', /^node:/],
]

export interface ProfileRow {
  readonly name: string
  /** Share of the time in which the process was active, 0 to 1. */
  readonly share: number
  readonly milliseconds: number
}

export interface ProfileSummary {
  readonly totalMs: number
  readonly idleMs: number
  readonly areas: readonly ProfileRow[]
  readonly functions: readonly ProfileRow[]
}

interface Profile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: {
      readonly functionName: string
      readonly url: string
      readonly lineNumber: number
    }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Summarises the text of a profile; `functionsMax` functions with the most time of their own. */
export function summarizeProfile(text: string, functionsMax: number): ProfileSummary {
  const { nodes, samples, timeDeltas } = JSON.parse(text) as Profile
  const selfById = new Map<number, number>()
  for (const [index, id] of samples.entries()) {
    const microseconds = timeDeltas[index]
    assert(microseconds !== undefined, 'Every sample of a profile has its time.')
    selfById.set(id, (selfById.get(id) ?? 0) + microseconds / 1_000)
  }
  const areas = new Map<string, number>()
  const functions = new Map<string, number>()
  let idleMs = 0
  let totalMs = 0
  for (const { id, callFrame } of nodes) {
    const selfMs = selfById.get(id) ?? 0
    totalMs += selfMs
    if (callFrame.functionName === '(idle)') {
      idleMs += selfMs
      continue
    }
    const area = areaOf(callFrame)
    areas.set(area, (areas.get(area) ?? 0) + selfMs)
    const name = nameOf(callFrame)
    functions.set(name, (functions.get(name) ?? 0) + selfMs)
  }
  const rows = (times: ReadonlyMap<string, number>): readonly ProfileRow[] =>
    [...times]
      .map(([name, milliseconds]) => ({
        name,
        milliseconds,
        share: milliseconds / (totalMs - idleMs),
      }))
      .filter(({ milliseconds }) => milliseconds > 0)
      .sort((a, b) => b.milliseconds - a.milliseconds)
  return {
    totalMs,
    idleMs,
    areas: rows(areas),
    functions: rows(functions).slice(0, functionsMax),
  }
}

function areaOf({ functionName, url }: Profile['nodes'][number]['callFrame']): string {
  if (functionName === '(garbage collector)') return 'garbage collection'
  if (url === '') return 'native code'
  return AREAS.find(([, file]) => file.test(url))?.[0] ?? 'other'
}

function nameOf({ functionName, url, lineNumber }: Profile['nodes'][number]['callFrame']): string {
  if (url === '') return functionName
  const file = url.replace(/^.*?\/(node_modules|services)\//, '').replace(/^file:\/\//, '')
  return `${functionName === '' ? '(anonymous)' : functionName} ${file}:${lineNumber + 1}`
}
