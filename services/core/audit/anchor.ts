// An anchor: what the hash of one decision batch was, kept where those who may write to Kafka may not. Lines of JSON in a
// file that only grows.

import { z } from 'zod'
import { parseJson } from '../parse-json.ts'

const COUNT = z.int().nonnegative()
const ANCHOR = z.object({
  streamId: z.string(),
  partition: COUNT,
  /** Of the block in the decisions topic. */
  offset: COUNT,
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  /** Blocks of the partition up to this one, itself included, as far back as was known. */
  blocks: COUNT,
  decidedAtMs: COUNT,
  anchoredAtMs: COUNT,
})

export type Anchor = Readonly<z.infer<typeof ANCHOR>>

export function anchorLine(anchor: Anchor): string {
  return `${JSON.stringify(anchor)}\n`
}

/** The anchor in a line; null when it is none. */
export function parseAnchor(line: string): Anchor | null {
  return parseJson(ANCHOR, line)
}
