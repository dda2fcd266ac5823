// What the Kafka client says, as lines of our log. kafkajs calls an error what it then tries again, such as a group
// coordinator that is still loading; partitions and the consumer's crash report what is wrong in the end. So nothing here
// is a warning unless the client has given up, and what it repeats is counted instead of written.

import kafkajs, { type LogEntry, type logCreator } from 'kafkajs'
import { type Logger, LogLimit } from '../log.ts'
import { systemClock } from '../clock.ts'

/** The same message of the client is written at most once in this time. */
const REPEAT_MS_MIN = 10_000

/** Ends of the client's own retries: its loop has crashed, or it skips messages, or it is not let in. */
const GIVEN_UP = /^Crash: |Offset out of range|authentication failed|SASL/i

/** For `new Kafka({ logCreator })`: the client's messages as lines with a constant message and fields. */
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
    // Numbers in a message vary from one time to the next: waits, correlation ids, ports.
    const key = `${severity} ${entry.namespace} ${text.replace(/\d+/g, '#').slice(0, 200)}`
    const leftOut = limit.admit(key, monotonicMs())
    if (leftOut === null) return
    const fields = fieldsOf(entry, text, leftOut)
    if (hasGivenUp) log.warn(fields, 'The Kafka client has given up.')
    else if (isError) log.info(fields, 'The Kafka client has met an error and tries again.')
    else log.debug(fields, 'The Kafka client says something.')
  }
}

/** A connection that fails for good is reported with its stack and without an end of the retries. */
function isRetried({ namespace, log }: LogEntry): boolean {
  return !(namespace === 'BrokerPool' && 'stack' in log)
}

/** kafkajs passes an error in place of a message in places. */
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
