// Goal: the build runs on plain Node, with its scripts, schemas and model.
// Method: the build of this run of tests, or one of its own, inside the checkout (so that dependencies are found); then
// the compiled command line and the compiled scorer are started, the latter against the stack of the environment.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { fork, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, test } from 'node:test'
import { Kafka, logLevel } from 'kafkajs'
import { createTopics, deleteTopics } from '../../services/platform/kafka/topics.ts'
import { buildServices, type ServicesBuild } from '../support/services-build.ts'

const brokersText = process.env['SLUICE_KAFKA_BROKERS'] ?? ''
const redisUrl = process.env['SLUICE_REDIS_URL'] ?? ''
if (brokersText === '' || redisUrl === '') {
  throw new Error(
    'SLUICE_KAFKA_BROKERS or SLUICE_REDIS_URL is not set; run this suite with npm run test:integration.',
  )
}
const PARTITION_COUNT = 2
const root = join(import.meta.dirname, '../..')

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs plain Node to its end, without a loader and without reporting to the test runner. */
async function runNode(args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_OPTIONS: '' },
  })
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await code, stdout, stderr }
}

/** The port of the metrics server, once the scorer reports that it is ready; rejects when it ends before. */
async function readyPort(scorer: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    scorer.once('message', (message) => {
      resolve((message as { readonly metricsPort: number }).metricsPort)
    })
    scorer.once('exit', (code) => {
      reject(new Error(`The scorer ended with code ${String(code)} before it was ready.`))
    })
  })
}

describe('the build', () => {
  let out = ''
  let build: ServicesBuild

  before(async () => {
    build = await buildServices()
    out = build.folder
  })

  after(() => {
    build.remove()
  })

  test('contains every script and data file stored alongside the sources', () => {
    const assets = readdirSync(join(root, 'services'), {
      recursive: true,
      encoding: 'utf8',
    }).filter((path) => /\.(lua|json)$/.test(path))
    ok(assets.length > 0, 'the sources have scripts')
    deepStrictEqual(
      assets.filter((path) => !existsSync(join(out, 'services', path))),
      [],
    )
  })

  test('copying assets into a folder without a build names the folder and ends in code 2', async () => {
    const { code, stderr } = await runNode(['infra/copy-assets.mjs', join(out, 'nowhere')])
    strictEqual(code, 2)
    match(stderr, /nowhere.*npm run build/)
  })

  test('has a command line that lists its commands and explains each one', async () => {
    const main = join(out, 'services/cli/main.js')
    const help = await runNode([main, '--help'])
    strictEqual(help.code, 0, help.stderr)
    const commands = [...help.stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name = '']) => name)
    ok(commands.includes('doctor'), help.stdout)
    for (const name of commands) {
      // Commands are loaded on demand, so only this finds one that does not load.
      const { code, stdout, stderr } = await runNode([main, name, '--help'])
      strictEqual(code, 0, `${name}: ${stderr}`)
      match(stdout, new RegExp(`Usage: sluice ${name}`))
    }
  })

  test('has a scorer that becomes ready with the committed model and ends with code 0 at SIGTERM', async (t) => {
    const topicPrefix = `test-build-${randomUUID()}.`
    const kafka = new Kafka({
      clientId: 'build-test',
      brokers: brokersText.split(','),
      logLevel: logLevel.NOTHING,
    })
    const admin = kafka.admin()
    await admin.connect()
    t.after(async () => {
      await deleteTopics(admin, topicPrefix)
      await admin.disconnect()
    })
    await createTopics(admin, topicPrefix, {
      partitionCount: PARTITION_COUNT,
      replicationFactor: 1,
    })

    const scorer = fork(join(out, 'services/scorer/main.js'), [], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: {
        SLUICE_KAFKA_BROKERS: brokersText,
        SLUICE_REDIS_URL: redisUrl,
        SLUICE_TOPIC_PREFIX: topicPrefix,
        SLUICE_GROUP_ID: `${topicPrefix}scorer`,
        SLUICE_METRICS_PORT: '0',
        SLUICE_BACKEND: 'compiled',
        SLUICE_LOG_LEVEL: 'error',
      },
    })
    t.after(() => scorer.kill('SIGKILL'))
    const ended = once(scorer, 'exit') as Promise<[code: number | null, signal: string | null]>
    const port = await readyPort(scorer)
    const response = await fetch(`http://127.0.0.1:${port}/readyz`)
    strictEqual(response.status, 200, await response.text())

    scorer.kill('SIGTERM')
    deepStrictEqual(await ended, [0, null])
  })
})
