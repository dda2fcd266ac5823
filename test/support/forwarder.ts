// A stream of alerts with a forwarder, in this process or in its own.

import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Alert } from '../../services/core/wire/records.ts'
import { partitionOf } from '../../services/core/murmur2.ts'
import { topicName } from '../../services/platform/kafka/topics.ts'
import { fullAlert } from '../unit/core/wire/samples.ts'
import { closeWith } from './cleanup.ts'
import { startCli, type CliProcess } from './cli-process.ts'
import type { Entry } from './services-build.ts'
import { openStream, PARTITION_COUNT, type TestStream } from './streams.ts'

/** A key in the format of Standard Webhooks. */
export function newKey(): string {
  return `whsec_${randomBytes(32).toString('base64')}`
}

export interface AlertStream {
  readonly stream: TestStream
  /** Publishes alerts in one transaction, each in the partition of its card. */
  publish(alerts: readonly Alert[]): Promise<void>
  /** Publishes bytes unchanged. */
  publishRaw(value: Buffer | string): Promise<void>
  /** Values of the topic of forwarding's dead letters, as JSON. */
  letters(): Promise<readonly Record<string, unknown>[]>
  /** File in which `forward` writes the targets. */
  readonly targetsFile: string
  /** Starts `sluice alerts forward`, or its stand-in, with these targets, as YAML values, and these variables. */
  forward(
    targets: readonly Readonly<Record<string, unknown>>[],
    variables: Readonly<Record<string, string>>,
    main?: Entry,
  ): Promise<CliProcess>
}

/** A block of a card; the number determines the id. */
export function alertOf(number: number, more: Partial<Alert> = {}): Alert {
  return {
    ...fullAlert,
    alertId: number.toString(16).padStart(32, '0'),
    revision: 0,
    supersedes: null,
    card: `card-${number}`,
    decidedAtMs: Date.now(),
    ...more,
  }
}

/** Topics of the test's own; the groups of the named targets are deleted when the test ends. */
export async function openAlertStream(
  t: TestContext,
  targets: readonly string[],
): Promise<AlertStream> {
  const stream = await openStream(t, 'forward')
  const { kafka, prefix, codecs, admin } = stream
  const groups = targets.map((target) => `${prefix}sluice-forward-${target}`)
  const producer = kafka.producer({
    transactionalId: `${prefix}alerts`,
    idempotent: true,
    maxInFlightRequests: 1,
    retry: { initialRetryTime: 5, retries: 20 },
  })
  await producer.connect()
  closeWith(t, async () => {
    await producer.disconnect()
    await admin.deleteGroups(groups).catch(() => undefined)
  })
  const topic = topicName(prefix, 'alerts')
  const send = async (messages: { key: string; value: Buffer | string; partition: number }[]) => {
    const transaction = await producer.transaction()
    await transaction.send({ topic, messages })
    await transaction.commit()
  }
  const folder = mkdtempSync(join(tmpdir(), 'sluice-targets-'))
  closeWith(t, () => {
    rmSync(folder, { recursive: true })
    return Promise.resolve()
  })
  const targetsFile = join(folder, 'targets.yaml')
  return {
    stream,
    targetsFile,
    publish: (alerts) =>
      send(
        alerts.map((alert) => ({
          key: alert.card,
          value: codecs.alert.encode(alert),
          partition: partitionOf(Buffer.from(alert.card), PARTITION_COUNT),
        })),
      ),
    publishRaw: (value) => send([{ key: 'raw', value, partition: 0 }]),
    async letters() {
      const { readToEnd } = await import('../../services/platform/kafka/committed-reader.ts')
      const found: Record<string, unknown>[] = []
      const topics = [topicName(prefix, 'forward-dead-letters')]
      const reader = { brokers: stream.brokers, name: `test-letters-${prefix}`, topics }
      await readToEnd({ ...reader, startAt: 'beginning' }, ({ messages }) => {
        for (const { value } of messages) found.push(JSON.parse(String(value)) as never)
      })
      return found
    },
    forward(yaml, variables, main) {
      // JSON is valid YAML.
      writeFileSync(targetsFile, JSON.stringify({ targets: yaml }, null, 2))
      const args = ['alerts', 'forward', '--targets', targetsFile, '--metrics-port', '0']
      const environment = stream.patientEnvironment({ SLUICE_LOG_FORMAT: 'json', ...variables })
      return startCli(t, args, environment, main)
    },
  }
}
