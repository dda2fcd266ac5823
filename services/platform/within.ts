// A limit on a wait.

/** A limit is waited for in so many parts; of each, only what the process was not busy counts. */
const PARTS = 10
/** A process that is always busy waits for so many limits at most. */
export const WAITED_LIMITS_MAX = 4

/**
 * What `work` gives, unless that takes longer than `limitMs`. Time in which this process was busy with something else does
 * not count, up to WAITED_LIMITS_MAX limits in all: a large answer is read in many turns of the event loop, and the other
 * side is not slow because we are. An answer that has arrived is in time.
 * @throws Error when the limit strikes; `work` goes on unheard
 */
export function within<Result>(limitMs: number, work: Promise<Result>): Promise<Result> {
  const endMs = performance.now() + WAITED_LIMITS_MAX * limitMs
  return new Promise((resolve, reject) => {
    let partsLeft = PARTS
    const wait = (): NodeJS.Timeout => setTimeout(endPart, limitMs / PARTS)
    // A timer that is late, since the process was busy, ends one part all the same.
    const endPart = (): void => {
      partsLeft -= 1
      if (partsLeft > 0 && performance.now() < endMs) {
        timer = wait()
        return
      }
      // Timers run before what has arrived is read; once through the loop it has been read.
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
