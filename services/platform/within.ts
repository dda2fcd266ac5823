// Limits the time of a wait.

/** A limit is measured in this many parts; time in which the process was busy does not count. */
const PARTS = 10
/** A process that is always busy waits for at most this many limits. */
export const WAITED_LIMITS_MAX = 4

/**
 * The result of `work`, unless that takes longer than `limitMs`. Time in which this process was busy with other work
 * does not count, up to WAITED_LIMITS_MAX limits in all: a large answer is read over many turns of the event loop, and
 * that delay is ours, not the other side's. An answer that has arrived is in time. @throws Error at the limit; the
 * result of `work` is then ignored
 */
export function within<Result>(limitMs: number, work: Promise<Result>): Promise<Result> {
  const endMs = performance.now() + WAITED_LIMITS_MAX * limitMs
  return new Promise((resolve, reject) => {
    let partsLeft = PARTS
    const wait = (): NodeJS.Timeout => setTimeout(endPart, limitMs / PARTS)
    // A timer that fires late, because the process was busy, ends only one part.
    const endPart = (): void => {
      partsLeft -= 1
      if (partsLeft > 0 && performance.now() < endMs) {
        timer = wait()
        return
      }
      // Timers run before arrived data is read; after one turn of the loop it has been read.
      setImmediate(() => {
        setImmediate(() => {
          reject(new Error(`No answer within ${limitMs} ms.`))
        })
      })
    }
    let timer = wait()
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer)
    })
  })
}
