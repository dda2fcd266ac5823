// Traces that begin at the producer: which transactions, and under which ids.

import { createHash } from 'node:crypto'
import { formatTraceparent, isInRatio } from '../core/trace-context.ts'

/**
 * The traceparent of a transaction, or null when its trace is not among the share. Ids come from the transaction's id:
 * the same stream, sent again, has the same traces.
 */
export function traceparentOf(transactionId: string, ratio: number): string | null {
  const digest = createHash('sha256').update(`trace:${transactionId}`).digest('hex')
  const traceId = digest.slice(0, 32)
  if (!isInRatio(traceId, ratio)) return null
  return formatTraceparent({ traceId, spanId: digest.slice(32, 48), isSampled: true })
}
