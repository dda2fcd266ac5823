// The one place that opens a Kafka client: addresses, TLS, SASL and log of every service and command.

import kafkajs, { type Kafka, type KafkaConfig } from 'kafkajs'
import { tlsOptions } from '../config/secret-reader.ts'
import type { Logger } from '../log.ts'
import { kafkaLogCreator } from './kafka-log.ts'
import { securityRemark, type KafkaConnection } from './kafka-connection.ts'

/** What differs between the users of a client. */
type KafkaClientOptions = Pick<
  KafkaConfig,
  'clientId' | 'connectionTimeout' | 'requestTimeout' | 'retry'
>

/** Opens a client, which connects when it is used. Without a log it keeps its messages to itself. */
export function openKafka(
  connection: KafkaConnection,
  options: KafkaClientOptions,
  log?: Logger,
): Kafka {
  const remark = securityRemark(connection)
  if (remark !== null) log?.warn({}, remark)
  return new kafkajs.Kafka({
    ...options,
    ...securityOf(connection),
    ...logOf(log),
    brokers: [...connection.brokers],
  })
}

function securityOf({ security }: KafkaConnection): Pick<KafkaConfig, 'ssl' | 'sasl'> {
  const { tls = null, sasl = null } = security ?? {}
  return {
    ...(tls === null ? {} : { ssl: tlsOptions(tls) }),
    // kafkajs writes into this object, so each client gets one of its own.
    ...(sasl === null
      ? {}
      : {
          sasl: {
            mechanism: sasl.mechanism,
            username: sasl.username,
            password: sasl.password.reveal(),
          } as NonNullable<KafkaConfig['sasl']>,
        }),
  }
}

function logOf(log: Logger | undefined): Pick<KafkaConfig, 'logLevel' | 'logCreator'> {
  if (log === undefined) return { logLevel: kafkajs.logLevel.NOTHING }
  return {
    logLevel: kafkajs.logLevel.WARN,
    logCreator: kafkaLogCreator(log),
  }
}
