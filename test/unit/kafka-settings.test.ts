// Goal: Kafka and Redis behave alike however they are run: as local processes, by Docker Compose, by Testcontainers.
// Method: the settings of the three are compared as files and definitions; nothing is started.

import { deepStrictEqual, match, notStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { composeService, kafkaContainer, redisContainer } from '../support/containers.ts'

const ROOT = join(import.meta.dirname, '../..')
const PORT = 30_123

/** Without these, a single node hangs, is slow, or creates topics by mistake. */
const NEEDED: Readonly<Record<string, string>> = {
  'default.replication.factor': '1',
  'min.insync.replicas': '1',
  'offsets.topic.replication.factor': '1',
  'transaction.state.log.replication.factor': '1',
  'transaction.state.log.min.isr': '1',
  'group.initial.rebalance.delay.ms': '0',
  'group.min.session.timeout.ms': '1000',
  'auto.create.topics.enable': 'false',
}
/** Listeners and data folders differ by nature. */
const OF_ITS_OWN =
  /^(process\.roles|node\.id|controller\.|listeners|advertised\.|inter\.broker\.|listener\.|log\.dirs|sasl\.|ssl\.)/

type Settings = Readonly<Record<string, string>>

function localSettings(): Settings {
  const lines = readFileSync(join(ROOT, 'infra/kafka/server.properties'), 'utf8').split('\n')
  return Object.fromEntries(
    lines
      .filter((line) => /^[^#=]+=/.test(line))
      .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
}

/** As the image does: KAFKA_MIN_INSYNC_REPLICAS is min.insync.replicas. Variables of the start script are left out. */
function settingsOf(environment: Settings): Settings {
  return Object.fromEntries(
    Object.entries(environment)
      .filter(
        ([name]) => name.startsWith('KAFKA_') && !/^KAFKA_(HEAP|JVM|OPTS|LOG4J|JMX)/.test(name),
      )
      .map(([name, value]) => [name.slice(6).toLowerCase().replaceAll('_', '.'), value]),
  )
}

const WAYS: readonly (readonly [way: string, settings: Settings])[] = [
  ['local', localSettings()],
  ['compose', settingsOf(composeService('kafka').environment)],
  ['testcontainers', settingsOf(kafkaContainer('127.0.0.1', PORT).environment)],
]

test('Kafka has the settings that one node needs, however it is run', () => {
  for (const [way, settings] of WAYS) {
    for (const [name, value] of Object.entries(NEEDED)) {
      strictEqual(settings[name], value, `${name} of ${way}`)
    }
  }
})

test('what two ways of running Kafka both set, they set alike', () => {
  let compared = 0
  for (const [way, settings] of WAYS) {
    for (const [otherWay, others] of WAYS) {
      for (const [name, value] of Object.entries(settings)) {
        if (OF_ITS_OWN.test(name) || others[name] === undefined || way === otherWay) continue
        strictEqual(others[name], value, `${name} of ${way} and ${otherWay}`)
        compared += 1
      }
    }
  }
  ok(compared >= 6 * Object.keys(NEEDED).length)
})

test('what containers set beyond addresses, local servers set, too', () => {
  const [, local] = WAYS[0] ?? ['', {}]
  for (const [way, settings] of WAYS.slice(1)) {
    deepStrictEqual(
      Object.keys(settings).filter((name) => !OF_ITS_OWN.test(name) && local[name] === undefined),
      [],
      way,
    )
  }
})

test('the image of Kafka has the version of the jars that local servers use', () => {
  const pom = readFileSync(join(ROOT, 'infra/kafka/pom.xml'), 'utf8')
  const [, version = ''] = /:(\d+\.\d+\.\d+)/.exec(kafkaContainer('127.0.0.1', PORT).image) ?? []
  ok(version !== '' && pom.includes(version), version)
})

test('Kafka in a container is told the port under which clients will find it', () => {
  const { environment, port, hostname } = kafkaContainer('127.0.0.1', PORT)
  const advertised = environment['KAFKA_ADVERTISED_LISTENERS'] ?? ''
  match(advertised, /EXTERNAL:\/\/127\.0\.0\.1:30123$/)
  strictEqual(port.host, PORT)
  ok(environment['KAFKA_LISTENERS']?.includes(`EXTERNAL://:${port.container}`))
  ok(advertised.includes(`INTERNAL://${hostname}:`))
  match(
    kafkaContainer('10.0.0.7', PORT).environment['KAFKA_ADVERTISED_LISTENERS'] ?? '',
    /EXTERNAL:\/\/10\.0\.0\.7:30123$/,
  )
})

test('Redis in a container runs with the settings file of the others, and never evicts', () => {
  const { files, command, port } = redisContainer()
  const [file] = files
  const settings = readFileSync(file?.source ?? '', 'utf8')
  match(settings, /^maxmemory-policy noeviction$/m)
  match(settings, /^appendonly yes$/m)
  ok(command?.includes(file?.target ?? '-'), 'its command reads the file')
  strictEqual(port.host, null)
  notStrictEqual(composeService('redis').image, '')
})
