// Converts messages of the Kafka client to lines of our log. kafkajs logs as errors what it then retries, such as a
// group coordinator that is still loading; lasting problems are reported by partitions and by the consumer's crash. So
// nothing is a warning here unless the client has given up, and repeated messages are counted instead of written.

import kafkajs, { type LogEntry, type logCreator } from 'kafkajs'
import { type Logger, LogLimit } from '../log.ts'
import { systemClock } from '../clock.ts'

/** Least time between two lines with the same message of the client. */
const REPEAT_MS_MIN = 10_000

/** Messages that end the client's own retries: it has crashed, skips messages, or is not authenticated. */
const GIVEN_UP = /^Crash: |Offset out of range|authentication failed|SASL/i

/** For `new Kafka({ logCreator })`. Writes the client's messages as lines with a constant message and fields. */
export function kafkaLogCreator(
  log: Logger,
  monotonicMs: () => number = () => systemClock.monotonicMs(),
): logCreator {
  const limit = new LogLimit(REPEAT_MS_MIN)
  const { ERROR } = kafkajs.logLevel
  return () => (entry) => {
    const isError = entry.level === ERROR
    const text = textOf(entry.log.message)
    const hasGivenUp = isError && (GIVEN_UP.test(text) || !isRetried(entry))
    const severity = hasGivenUp ? 'warn' : isError ? 'info' : 'debug'
    if (!log.isLevelEnabled(severity)) return
    // Numbers in a message vary: waits, correlation ids, ports.
    const key = `${severity} ${entry.namespace} ${text.replace(/\d+/g, '#').slice(0, 200)}`
    const leftOut = limit.admit(key, monotonicMs())
    if (leftOut === null) return
    const fields = fieldsOf(entry, text, leftOut)
    if (hasGivenUp) log.warn(fields, 'The Kafka client has given up.')
    else if (isError) log.info(fields, 'The Kafka client has met an error and tries again.')
    else log.debug(fields, 'The Kafka client says something.')
  }
}

/** False for a connection that fails for good, which is reported with its stack after the retries. */
function isRetried({ namespace, log }: LogEntry): boolean {
  return !(namespace === 'BrokerPool' && 'stack' in log)
}

/** kafkajs sometimes passes an error instead of a message. */
function textOf(message: unknown): string {
  if (message instanceof Error) return message.message
  return typeof message === 'string' ? message : String(message)
}

function fieldsOf({ namespace, log }: LogEntry, text: string, leftOut: number) {
  const details = Object.fromEntries(
    Object.entries(log).filter(([key]) => !['timestamp', 'logger', 'message'].includes(key)),
  )
  return {
    namespace,
    kafkaMessage: text,
    kafka: details,
    ...(leftOut === 0 ? {} : { leftOut }),
  }
}
