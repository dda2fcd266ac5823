// The figures of the status line, read from the scorer's /metrics as Prometheus would.

const FETCH_MS_MAX = 2_000

/** Totals since the scorer's start. */
export interface ScorerNumbers {
  readonly decisions: number
  readonly lagMessages: number
  readonly deadLetters: number
}

/** Asks the scorer; null when it does not answer in time, as while it starts or stops. */
export async function readScorerNumbers(port: number): Promise<ScorerNumbers | null> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/metrics`, {
      signal: AbortSignal.timeout(FETCH_MS_MAX),
    })
    return parseScorerNumbers(await response.text())
  } catch {
    return null // the next second asks again; a scorer that has died is told elsewhere
  }
}

/** Reads the figures from the text of /metrics. */
export function parseScorerNumbers(text: string): ScorerNumbers {
  return {
    decisions: sumOf(text, 'sluice_decisions_total'),
    lagMessages: sumOf(text, 'sluice_lag_messages'),
    deadLetters: sumOf(text, 'sluice_dead_letters_total'),
  }
}

/** Sum of all series of one metric; 0 when there is none yet. */
function sumOf(text: string, name: string): number {
  let sum = 0
  for (const line of text.split('\n')) {
    if (!line.startsWith(name)) continue
    const next = line[name.length]
    if (next !== '{' && next !== ' ') continue
    const value = Number(line.slice(line.lastIndexOf(' ') + 1))
    if (Number.isFinite(value)) sum += value
  }
  return sum
}
