// A limit on a wait.

/**
 * What `work` gives, unless that takes longer than `limitMs`. An answer that has arrived while this process was busy
 * counts as in time: what waits to be read is read before the limit strikes.
 * @throws Error when the limit strikes; `work` goes on unheard
 */
export function within<Result>(limitMs: number, work: Promise<Result>): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      // Timers run before what has arrived is read; once through the loop it has been read.
      setImmediate(() => {
        setImmediate(() => {
          reject(new Error(`No answer within ${limitMs} ms.`))
        })
      })
    }, limitMs)
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer)
    })
  })
}
