import { match, rejects, strictEqual, throws } from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import {
  fetchJars,
  hasJars,
  jarsFolder,
  fillTemplate,
} from '../../../../tools/servers/local-kafka.ts'

const root = join(import.meta.dirname, '../../../..')
const template = readFileSync(join(root, 'infra/kafka/server.properties'), 'utf8')

test('the settings template is filled completely, and listens on loopback only', () => {
  const settings = fillTemplate(template.replace(/^#.*$/gm, ''), {
    BROKER_PORT: '1',
    CONTROLLER_PORT: '2',
    DATA_FOLDER: '/data',
  })
  strictEqual(settings.includes('${'), false)
  match(settings, /^listeners=PLAINTEXT:\/\/127\.0\.0\.1:1,CONTROLLER:\/\/127\.0\.0\.1:2$/m)
})

test('a name in the template that has no value is an error naming it', () => {
  throws(() => fillTemplate('log.dirs=${DATA_FOLDRE}', { DATA_FOLDER: '/data' }), /DATA_FOLDRE/)
})

test('Compose and the local broker agree on every setting that both of them make', () => {
  // Listeners, ids and folders differ by nature: one runs in a container.
  const own = /LISTENER|VOTERS|NODE_ID|LOG_DIRS|HEAP_OPTS|PROCESS_ROLES/
  const local = new Map(
    [...template.matchAll(/^([a-z.]+)=(.*)$/gm)].map(([, name = '', value = '']) => [name, value]),
  )
  const compose = readFileSync(join(root, 'docker-compose.yml'), 'utf8')
  const shared = [...compose.matchAll(/^ +KAFKA_(\w+): '?([^'\n]*)'?$/gm)].filter(
    ([, name = '']) => !own.test(name),
  )
  strictEqual(shared.length >= 10, true)
  for (const [, name = '', value = ''] of shared) {
    const property = name.toLowerCase().replaceAll('_', '.')
    strictEqual(local.get(property), value, property)
  }
})

test('a half-finished folder of jars is not taken for a complete one, and is cleared away', async () => {
  const kafkaFolder = mkdtempSync(join(tmpdir(), 'sluice-jars-'))
  const pomFile = join(root, 'infra/kafka/pom.xml')
  const folder = jarsFolder(pomFile, kafkaFolder)
  mkdirSync(`${folder}.4711.1.tmp`)
  writeFileSync(join(`${folder}.4711.1.tmp`, 'kafka_2.13-4.3.1.jar'), '')
  strictEqual(hasJars(pomFile, kafkaFolder), false)

  // A substitute for Maven that needs no network.
  const maven = join(kafkaFolder, 'mvn')
  writeFileSync(
    maven,
    '#!/bin/sh\nfor arg in "$@"; do case $arg in -DoutputDirectory=*) touch "${arg#*=}/kafka_2.13-4.3.1.jar";; esac; done\n',
  )
  chmodSync(maven, 0o755)
  const options = { pomFile, kafkaFolder, onProgress: () => undefined }
  strictEqual(await fetchJars(maven, options), folder)
  strictEqual(hasJars(pomFile, kafkaFolder), true)
  throws(() => readFileSync(join(`${folder}.4711.1.tmp`, 'kafka_2.13-4.3.1.jar')))
})

test('a Maven that fails ends in an error with its last words, and leaves no jars', async () => {
  const kafkaFolder = mkdtempSync(join(tmpdir(), 'sluice-jars-'))
  const pomFile = join(root, 'infra/kafka/pom.xml')
  const maven = join(kafkaFolder, 'mvn')
  writeFileSync(maven, '#!/bin/sh\necho "[ERROR] no route to host"\nexit 1\n')
  chmodSync(maven, 0o755)
  await rejects(
    fetchJars(maven, { pomFile, kafkaFolder, onProgress: () => undefined }),
    (error) => isSluiceError(error, 'SLUICE_PROVISION_FAILED') && /no route/.test(error.message),
  )
  strictEqual(hasJars(pomFile, kafkaFolder), false)
})
