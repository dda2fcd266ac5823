// The header of a message that was sent again after it became a dead letter. It prevents a redrive from looping: a
// message with this header is never sent again.

/** Header of a message that was sent again; its value is the position of the message it repeats. */
export const REDRIVEN_FROM_HEADER = 'sluice-redriven-from'

/** Form of Kafka topic names. */
const POSITION = /^([A-Za-z0-9._-]{1,249})\/(\d{1,6})\/(\d{1,15})$/

/** Position of a message. */
export interface MessagePosition {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** A position in the form used by people and by the header: `topic/partition/offset`. */
export function formatPosition({ topic, partition, offset }: MessagePosition): string {
  return `${topic}/${partition}/${offset}`
}

/** The position that a text names, or null when it names none. */
export function parsePosition(text: string): MessagePosition | null {
  const match = POSITION.exec(text)
  if (match === null) return null
  const [, topic = '', partition, offset] = match
  return { topic, partition: Number(partition), offset: Number(offset) }
}

/** Headers as a Kafka client gives them. */
export type MessageHeaders = Readonly<
  Record<string, Uint8Array | string | readonly (Uint8Array | string)[] | undefined>
>

/**
 * The position that a message of `topic` repeats; null without the header. Only a position of the same topic counts,
 * since a redrive stays in its topic. Nothing else of a foreign header is ever passed on.
 */
export function redrivenFromOf(
  headers: MessageHeaders | undefined,
  topic: string,
): MessagePosition | null {
  const header = headers?.[REDRIVEN_FROM_HEADER]
  if (header === undefined) return null
  const value = isList(header) ? header[0] : header
  if (value === undefined) return null
  const text = typeof value === 'string' ? value : Buffer.from(value).toString('latin1')
  const position = parsePosition(text)
  return position?.topic === topic ? position : null
}

function isList(
  header: NonNullable<MessageHeaders[string]>,
): header is readonly (Uint8Array | string)[] {
  return Array.isArray(header)
}
