// Finds the last record of a partition, searching backwards from its end, since it is usually near.

/** A record and its transaction's marker, twice; more are needed only after aborted transactions. */
const STEP_FIRST = 4
const STEP_FACTOR = 8

/** Calls the search with ever longer ranges before `high`; null when there is no record from `low` on. */
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
