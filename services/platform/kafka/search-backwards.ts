// The last record of a partition is found from its end backwards: most often it is near.

/** A record and the end of its transaction, twice; more only where transactions were aborted. */
const STEP_FIRST = 4
const STEP_FACTOR = 8

/** Asks for the last record of ever longer stretches before `high`; null when there is none from `low` on. */
export async function searchBackwards<Found>(
  { low, high }: { readonly low: number; readonly high: number },
  lastBetween: (from: number, to: number) => Promise<Found | null>,
): Promise<Found | null> {
  for (let step = STEP_FIRST; ; step *= STEP_FACTOR) {
    const from = Math.max(low, high - step)
    const found = from < high ? await lastBetween(from, high) : null
    if (found !== null || from >= high || from === low) return found
  }
}
