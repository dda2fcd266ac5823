import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs, { type LogEntry } from 'kafkajs'
import { kafkaLogCreator } from '../../../../services/platform/kafka/kafka-log.ts'
import { openKeptLog } from '../../../support/kept-log.ts'

const { ERROR, WARN, INFO } = kafkajs.logLevel

function openClientLog() {
  const clock = { ms: 0 }
  const { log, lines } = openKeptLog()
  const write = kafkaLogCreator(log, () => clock.ms)(INFO)
  const say = (
    level: LogEntry['level'],
    namespace: string,
    message: unknown,
    more: object = {},
  ) => {
    const entry = { timestamp: 'now', logger: 'kafkajs', message, ...more }
    write({ namespace, level, label: '', log: entry as LogEntry['log'] })
  }
  return { clock, lines, say }
}

test('what the client tries again is no warning, whatever the client calls it', () => {
  const { lines, say } = openClientLog()
  say(ERROR, 'Connection', 'Response GroupCoordinator(key: 10, version: 2)', { error: 'loading' })
  say(ERROR, 'BrokerPool', 'Failed to connect to seed broker, trying another', { retryCount: 1 })
  say(WARN, 'Admin', 'Could not create topics')
  say(INFO, 'ConsumerGroup', 'Consumer has joined the group')
  deepStrictEqual(
    lines.map(({ level }) => level),
    ['info', 'info', 'debug', 'debug'],
  )
  deepStrictEqual(lines[0]?.['kafka'], { error: 'loading' })
  strictEqual(lines[0]['kafkaMessage'], 'Response GroupCoordinator(key: 10, version: 2)')
})

test('a client that has given up is a warning', () => {
  const { lines, say } = openClientLog()
  say(ERROR, 'Consumer', 'Crash: KafkaJSNumberOfRetriesExceeded: no broker', { stack: 'at' })
  say(ERROR, 'ConsumerGroup', 'Offset out of range, resetting to default offset')
  say(ERROR, 'BrokerPool', new Error('SASL SCRAM SHA256 authentication failed'), { stack: 'at' })
  say(ERROR, 'BrokerPool', new Error('certificate has expired'), { stack: 'at', retryCount: 0 })
  deepStrictEqual(
    lines.map(({ level }) => level),
    ['warn', 'warn', 'warn', 'warn'],
  )
  strictEqual(lines[3]?.['kafkaMessage'], 'certificate has expired')
})

test('a repeated message is written once in ten seconds, with how many were left out', () => {
  const { clock, lines, say } = openClientLog()
  for (let index = 0; index < 100; index += 1) {
    say(ERROR, 'Connection', `Connection timeout after ${index} ms`)
  }
  say(ERROR, 'Connection', 'Connection refused')
  strictEqual(lines.length, 2)
  clock.ms = 10_000
  say(ERROR, 'Connection', 'Connection timeout after 7 ms')
  strictEqual(lines.length, 3)
  strictEqual(lines[2]?.['leftOut'], 99)
})

test('messages that are all different are limited, too', () => {
  const { lines, say } = openClientLog()
  for (let index = 0; index < 1_000; index += 1) {
    const word = String.fromCharCode(97 + (index % 26), 97 + Math.floor(index / 26))
    say(ERROR, 'Connection', `Cannot reach ${word}`)
  }
  ok(lines.length < 200, String(lines.length))
})

test('a client that cannot reach a broker says so in our log, and not as a warning', async () => {
  const { log, lines } = openKeptLog()
  const kafka = new kafkajs.Kafka({
    brokers: ['127.0.0.1:9'],
    logLevel: WARN,
    logCreator: kafkaLogCreator(log),
    retry: { retries: 1, initialRetryTime: 1 },
  })
  const admin = kafka.admin()
  await admin.connect().catch(() => undefined)
  ok(lines.some(({ level, msg }) => level === 'info' && msg.startsWith('The Kafka client')))
  ok(lines.every(({ level }) => level === 'info' || level === 'debug'))
})
