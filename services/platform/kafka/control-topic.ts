// Reads the deployments in force from the control topic, and publishes control messages.

import {
  type DeploymentKind,
  type PositionedDeployment,
  readControlMessage,
} from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import type { Control } from '../../core/wire/records.ts'
import { readToEnd } from './committed-reader.ts'
import { openKafka } from './kafka-client.ts'
import type { KafkaConnection } from './kafka-connection.ts'
import { explainKafka } from './kafka-failure.ts'
import { topicName } from './topics.ts'

const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { initialRetryTime: 50, maxRetryTime: 1_000, retries: 5 } as const

export interface ControlAccess extends KafkaConnection {
  readonly topicPrefix: string
  readonly codecs: Codecs
}

/** Most messages of one kind in memory; the topic is compacted, so there are few. */
const DEPLOYMENTS_MAX = 10_000

/**
 * The newest message about models, or about policies; null when there is none.
 * @throws SluiceError as `readToEnd`.
 */
export async function readDeployment(
  access: ControlAccess,
  about: DeploymentKind,
  signal?: AbortSignal,
): Promise<PositionedDeployment | null> {
  return (await readDeployments(access, about, signal)).at(-1) ?? null
}

/**
 * All messages about models, or about policies, in the topic, newest last.
 * @throws SluiceError as `readToEnd`.
 */
export async function readDeployments(
  { brokers, security, topicPrefix, codecs }: ControlAccess,
  about: DeploymentKind,
  signal?: AbortSignal,
): Promise<readonly PositionedDeployment[]> {
  const deployments: PositionedDeployment[] = []
  await readToEnd(
    {
      brokers,
      security,
      name: `sluice-${about}`,
      topics: [topicName(topicPrefix, 'control')],
      startAt: 'beginning',
    },
    ({ messages }) => {
      for (const message of messages) {
        const read = readControlMessage(message, codecs.control)
        if (read.kind !== 'deployment' || read.placed.about !== about) continue
        deployments.push(read.placed)
        if (deployments.length > DEPLOYMENTS_MAX) deployments.shift()
      }
    },
    signal,
  )
  return deployments
}

/**
 * Publishes a message. Resolves with its offset once the broker has it.
 * @throws SluiceError SLUICE_BROKER_UNAVAILABLE, SLUICE_ACCESS_DENIED or SLUICE_TLS_FAILED.
 */
export async function publishControl(access: ControlAccess, control: Control): Promise<number> {
  const { topicPrefix, codecs } = access
  const topic = topicName(topicPrefix, 'control')
  const kafka = openKafka(access, {
    clientId: 'sluice-control',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  })
  const producer = kafka.producer({
    idempotent: true,
    maxInFlightRequests: 1,
    allowAutoTopicCreation: false,
    retry: RETRY,
  })
  try {
    await producer.connect()
    const [written] = await producer.send({
      topic,
      acks: -1,
      messages: [{ key: control.subject, value: codecs.control.encode(control), partition: 0 }],
    })
    return Number(written?.baseOffset ?? -1)
  } catch (error) {
    const refusal = await explainKafka(access, error)
    if (refusal !== null) throw refusal
    throw new SluiceError(
      'SLUICE_BROKER_UNAVAILABLE',
      `The message could not be sent to ${topic}; "sluice model list" and "sluice policy list" show what is in force. Check that Kafka ` +
        'runs and that the topic exists, then try again.',
      { cause: error },
    )
  } finally {
    await producer.disconnect().catch(() => undefined)
  }
}
