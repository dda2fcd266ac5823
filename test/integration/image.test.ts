// Goal: the steps of the image produce a program that runs. Method: the steps of the CPU target are carried out in
// temporary folders, and the result is started as the image would start it, with Kafka and Redis of the environment:
// first the topics, then the scorer and the subscriber, as in docker-compose.yml.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, lstatSync, readdirSync, readFileSync, type Stats } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { after, before, describe, test, type TestContext } from 'node:test'
import { Kafka, logLevel } from 'kafkajs'
import { deleteTopics } from '../../services/platform/kafka/topics.ts'
import { claimPorts } from '../support/claims.ts'
import { closeWith } from '../support/cleanup.ts'
import { ROOT } from '../support/dockerfile.ts'
import { buildImage, type BuiltImage } from '../support/image-steps.ts'
import { eventually } from '../support/poll.ts'

const brokersText = process.env['SLUICE_KAFKA_BROKERS'] ?? ''
const redisUrl = process.env['SLUICE_REDIS_URL'] ?? ''
if (brokersText === '' || redisUrl === '') {
  throw new Error(
    'SLUICE_KAFKA_BROKERS or SLUICE_REDIS_URL is not set; run this suite with npm run test:integration.',
  )
}
/** Limit for the folder that the image adds to its base: its packages, DuckDB among them, take 167 MiB on disk. */
const SIZE_MIB_MAX = 200
const BYTES_PER_MIB = 1024 * 1024

/** Every file below a folder, with the time of its last change. */
function filesOf(
  folder: string,
): ReadonlyMap<string, { readonly bytes: number; readonly changedMs: number }> {
  return new Map(
    [...entriesOf(folder)].map(([path, { size, mtimeMs, ctimeMs }]) => [
      path,
      // The size, since the disk blocks of a new file are allocated later.
      { bytes: size, changedMs: Math.max(mtimeMs, ctimeMs) },
    ]),
  )
}

/** Disk space of a folder, MiB. */
function mibOf(folder: string): number {
  let bytes = 0
  for (const { size, blocks } of entriesOf(folder).values()) bytes += Math.max(size, blocks * 512)
  return bytes / BYTES_PER_MIB
}

function entriesOf(folder: string): ReadonlyMap<string, Stats> {
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' })
  return new Map(paths.map((path) => [path, lstatSync(join(folder, path))]))
}

/** A port claimed until the test ends: another process may take a port that is only chosen before it is used. */
async function ownPort(t: TestContext): Promise<number> {
  const { ports, release } = await claimPorts(1)
  closeWith(t, release)
  return ports[0] ?? 0
}

interface Started {
  readonly child: ChildProcess
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>
}

describe('the image', () => {
  const topicPrefix = `test-image-${randomUUID()}.`
  let image: BuiltImage

  before(async () => {
    image = await buildImage('cpu')
  })

  after(async () => {
    image.remove()
    const kafka = new Kafka({ brokers: brokersText.split(','), logLevel: logLevel.NOTHING })
    const admin = kafka.admin()
    await admin.connect()
    await deleteTopics(admin, topicPrefix)
    await admin.disconnect()
  })

  /** Starts a program in the image's folder with only the image's variables and these. */
  function start(
    args: readonly string[],
    variables: Readonly<Record<string, string>> = {},
  ): Started {
    const [program = '', ...rest] = args
    strictEqual(program, 'node')
    const child = spawn(process.execPath, rest, {
      cwd: image.folder,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...image.environment,
        SLUICE_KAFKA_BROKERS: brokersText,
        SLUICE_REDIS_URL: redisUrl,
        SLUICE_TOPIC_PREFIX: topicPrefix,
        SLUICE_GROUP_ID: `${topicPrefix}scorer`,
        ...variables,
      },
    })
    const output = Promise.all([text(child.stdout), text(child.stderr)])
    const ended = once(child, 'exit').then(async ([code]) => ({
      code: code as number | null,
      output: (await output).join(''),
    }))
    return { child, ended }
  }

  /** Starts a service on a port of its own and waits until its health check passes. */
  async function startService(
    t: TestContext,
    command: readonly string[],
    port: number,
  ): Promise<Started> {
    const variables = { SLUICE_METRICS_PORT: String(port) }
    const service = start([...image.entrypoint, ...command], variables)
    closeWith(t, async () => {
      service.child.kill('SIGKILL')
      await service.ended
    })
    await eventually(`${command.join(' ')} is ready`, async () => {
      const { exitCode } = service.child
      if (exitCode !== null)
        throw new Error(`It ended with ${exitCode}: ${(await service.ended).output}`)
      const check = start(['node', 'infra/docker/healthcheck.mjs', '/readyz'], variables)
      return (await check.ended).code === 0
    })
    return service
  }

  test('contains the files a service reads and none that it is built from', (t) => {
    deepStrictEqual(readdirSync(image.folder).toSorted(), [
      'dist',
      'infra',
      'lake',
      'models',
      'node_modules',
      'package.json',
      'schemas',
    ])
    deepStrictEqual(readdirSync(join(image.folder, 'lake')), [], 'a place for a volume')
    const files = filesOf(image.folder)
    const sources = [...files.keys()].filter(
      (path) => /\.tsx?$/.test(path) && !path.startsWith('node_modules/'),
    )
    deepStrictEqual(sources, [])
    const mib = mibOf(image.folder)
    t.diagnostic(`the image adds ${mib.toFixed(0)} MiB to its base`)
    ok(mib < SIZE_MIB_MAX, `${mib.toFixed(0)} MiB`)
  })

  test('has no development package of the lock file, and no compiler', () => {
    const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, { readonly dev?: boolean }>
    }
    const isThere = (path: string): boolean => existsSync(join(image.folder, path))
    ok(isThere('node_modules/kafkajs'), 'packages are looked for where they are')
    const development = Object.keys(lock.packages).filter(
      (path) => lock.packages[path]?.dev === true,
    )
    ok(development.includes('node_modules/typescript'))
    deepStrictEqual(development.filter(isThere), [])
  })

  test('creates the topics, and a second run changes nothing', async () => {
    const command = ['topics', 'create', '--partitions', '2', '--json']
    for (const isNew of [true, false]) {
      const { code, output } = await start([...image.entrypoint, ...command]).ended
      strictEqual(code, 0, output)
      const report = JSON.parse(output) as { topics: readonly { readonly isNew: boolean }[] }
      ok(
        report.topics.every((topic) => topic.isNew === isNew),
        output,
      )
    }
  })

  test('runs a scorer that becomes ready, writes nothing to its folder, and ends with 0 at SIGTERM', async (t) => {
    deepStrictEqual(image.command, ['scorer'])
    const before = filesOf(image.folder)
    const scorer = await startService(t, image.command, await ownPort(t))
    scorer.child.kill('SIGTERM')
    const { code, output } = await scorer.ended
    strictEqual(code, 0, output)
    deepStrictEqual(filesOf(image.folder), before, 'the file system may be read-only')
  })

  test('runs a subscriber that becomes ready, writes nothing to its folder, and stops at SIGTERM', async (t) => {
    const before = filesOf(image.folder)
    const port = await ownPort(t)
    const command = ['alerts', 'tail', '--json', '--metrics-port', String(port)]
    const alerts = await startService(t, command, port)
    alerts.child.kill('SIGTERM')
    const { code, output } = await alerts.ended
    strictEqual(code, 143, output)
    deepStrictEqual(filesOf(image.folder), before)
  })

  test('has a health check that fails with a message when no service answers', async (t) => {
    const check = start(['node', 'infra/docker/healthcheck.mjs'], {
      SLUICE_METRICS_PORT: String(await ownPort(t)),
    })
    const { code, output } = await check.ended
    strictEqual(code, 1)
    match(output, /\/livez on port \d+ does not answer/)
  })
})
