// Resources of a test are closed in reverse order: node:test runs its own hooks in the order of registration, so a
// topic would go before the process that reads it.

import type { TestContext } from 'node:test'

const cleanups = new WeakMap<TestContext, (() => Promise<void>)[]>()

/** Calls `close` when the test ends, later ones first. */
export function closeWith(t: TestContext, close: () => Promise<void>): void {
  const known = cleanups.get(t)
  if (known !== undefined) {
    known.push(close)
    return
  }
  const stack = [close]
  cleanups.set(t, stack)
  t.after(async () => {
    const failures: unknown[] = []
    for (const next of stack.toReversed()) {
      await next().catch((error: unknown) => failures.push(error))
    }
    if (failures.length > 0) throw new AggregateError(failures, 'Some things could not be closed.')
  })
}
