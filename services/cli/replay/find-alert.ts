// Finds an alert with all its revisions by its id.

import { SluiceError } from '../../core/errors.ts'
import type { Alert } from '../../core/wire/records.ts'
import { readToEnd } from '../../platform/kafka/committed-reader.ts'
import { topicName } from '../../platform/kafka/topics.ts'
import type { DecidedStream } from '../features/open-stream.ts'

/** Revisions of one alert that are held. */
const REVISIONS_MAX = 10_000

/**
 * Revisions in their order; never empty.
 * @throws SluiceError SLUICE_USAGE when there is no such alert, and what readers of topics throw.
 */
export async function findAlert(
  { brokers, security, topicPrefix, codecs }: DecidedStream,
  alertId: string,
  signal: AbortSignal,
): Promise<readonly [Alert, ...Alert[]]> {
  const topic = topicName(topicPrefix, 'alerts')
  const bytes = Buffer.from(alertId)
  const found: Alert[] = []
  await readToEnd(
    { brokers, security, name: 'sluice-explain', topics: [topic], startAt: 'beginning' },
    ({ messages }) => {
      for (const { value } of messages) {
        if (value?.includes(bytes) !== true) continue
        const decoded = codecs.alert.decode(value)
        if (!decoded.ok || decoded.value.alertId !== alertId) continue
        if (found.length < REVISIONS_MAX) found.push(decoded.value)
      }
    },
    signal,
  )
  const [first, ...others] = found.toSorted((a, b) => a.revision - b.revision)
  if (first !== undefined) return [first, ...others]
  throw new SluiceError(
    'SLUICE_USAGE',
    `${topic} holds no alert ${alertId}; check the id and the topic prefix. It may also be older than the topic.`,
  )
}
