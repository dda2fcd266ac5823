/** Something with a connection or a thread behind it. */
export interface Closable {
  close(): Promise<void>
}

/** Closes in reverse order of opening, and goes on when one fails, so nothing is left half open. */
export async function closeAll(opened: readonly Closable[]): Promise<void> {
  const failures: unknown[] = []
  for (const resource of opened.toReversed()) {
    try {
      await resource.close()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'Some resources failed to close.')
}
