// All that the topics know about one alert.

import type { Alert, Receipt } from '../../core/wire/records.ts'
import { readToEnd } from '../../platform/kafka/committed-reader.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import { explainDecision, type ExplainedDecision } from '../features/explain.ts'
import type { DecidedStream } from '../features/open-stream.ts'
import { findAlert } from '../replay/find-alert.ts'

/** Receipts that are held. */
const RECEIPTS_MAX = 10_000

export interface ExplainedAlert {
  /** Oldest revision first; never empty. */
  readonly alerts: readonly [Alert, ...Alert[]]
  readonly decision: ExplainedDecision
  /** In the order of their topic. */
  readonly receipts: readonly Receipt[]
}

export interface GatherOptions {
  readonly alertId: string
  /** Of the decision whose features are explained. */
  readonly revision: number
  readonly eventAheadMsMax: number
  readonly onProgress: (line: string) => void
}

/** @throws SluiceError SLUICE_USAGE when there is no such alert or decision, and what readers of topics throw. */
export async function gatherAlert(
  stream: DecidedStream,
  { alertId, revision, eventAheadMsMax, onProgress }: GatherOptions,
  signal: AbortSignal,
): Promise<ExplainedAlert> {
  const alerts = await findAlert(stream, alertId, signal)
  const receipts = await findReceipts(stream, alertId, signal)
  const [{ transactionId, source }] = alerts
  const place = { partition: source.partition, offset: source.offset }
  const decision = await explainDecision(
    stream,
    { transactionId, revision, place, eventAheadMsMax, onProgress },
    signal,
  )
  return { alerts, decision, receipts }
}

async function findReceipts(
  { brokers, security, topicPrefix, codecs }: DecidedStream,
  alertId: string,
  signal: AbortSignal,
): Promise<readonly Receipt[]> {
  const topic = topicName(topicPrefix, 'receipts')
  const bytes = Buffer.from(alertId)
  const found: Receipt[] = []
  await readToEnd(
    { brokers, security, name: 'sluice-explain', topics: [topic], startAt: 'beginning' },
    ({ messages }) => {
      for (const { value } of messages) {
        if (value?.includes(bytes) !== true) continue
        const decoded = codecs.receipt.decode(value)
        if (!decoded.ok || decoded.value.alertId !== alertId) continue
        if (found.length < RECEIPTS_MAX) found.push(decoded.value)
      }
    },
    signal,
  )
  return found
}
