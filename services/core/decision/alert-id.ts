import { createHash } from 'node:crypto'

/** The id of an alert: the same for the same input record, whoever decides it and however often. 32 hex digits. */
export function alertIdOf(
  streamId: string,
  topic: string,
  partition: number,
  offset: number,
): string {
  return createHash('sha256')
    .update(`${streamId}\n${topic}\n${partition}\n${offset}`)
    .digest('hex')
    .slice(0, 32)
}
