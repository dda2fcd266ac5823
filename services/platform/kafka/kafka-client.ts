// Opens every Kafka client: addresses, TLS, SASL and log of every service and command are set here.

import kafkajs, { type Kafka, type KafkaConfig } from 'kafkajs'
import { tlsOptions } from '../config/secrets.ts'
import type { Logger } from '../log.ts'
import { keepAnswers, noteAnswer, type CoordinatorAnswers } from './coordinator-refusal.ts'
import { kafkaLogCreator } from './kafka-log.ts'
import { sendsLoginInClear, type KafkaConnection } from './kafka-connection.ts'
import { waitOnlyWhenPending } from './request-timers.ts'

/** Settings that differ between users of a client. */
type KafkaClientOptions = Pick<
  KafkaConfig,
  'clientId' | 'connectionTimeout' | 'requestTimeout' | 'retry'
>

/** Opens a client, which connects on first use. Without a log it is silent. */
export function openKafka(
  connection: KafkaConnection,
  options: KafkaClientOptions,
  log?: Logger,
): Kafka {
  if (sendsLoginInClear(connection)) {
    log?.warn(
      {},
      'The login to Kafka goes over the network without encryption; set SLUICE_KAFKA_TLS=true.',
    )
  }
  waitOnlyWhenPending()
  const answers: CoordinatorAnswers = { refused: null }
  const kafka = new kafkajs.Kafka({
    ...options,
    ...securityOf(connection),
    ...logOf(log, answers),
    brokers: [...connection.brokers],
  })
  keepAnswers(kafka, answers)
  return kafka
}

function securityOf({ security }: KafkaConnection): Pick<KafkaConfig, 'ssl' | 'sasl'> {
  const { tls = null, sasl = null } = security ?? {}
  return {
    ...(tls === null ? {} : { ssl: tlsOptions(tls) }),
    // kafkajs writes into this object, so each client gets its own.
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

/** Scans every message for refusals; the log gets those from WARN on. */
function logOf(
  log: Logger | undefined,
  answers: CoordinatorAnswers,
): Pick<KafkaConfig, 'logLevel' | 'logCreator'> {
  return {
    logLevel: kafkajs.logLevel.DEBUG,
    logCreator: (level) => {
      const write = log === undefined ? null : kafkaLogCreator(log)(level)
      return (entry) => {
        noteAnswer(answers, entry)
        if (entry.level <= kafkajs.logLevel.WARN) write?.(entry)
      }
    },
  }
}
