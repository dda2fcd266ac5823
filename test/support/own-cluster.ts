// A Kafka cluster for one test file, whose brokers it may kill: three brokers that hold three replicas of everything,
// and a separate controller.

import { randomBytes } from 'node:crypto'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import kafkajs from 'kafkajs'
import { fillTemplate, jarsFolder } from '../../tools/servers/local-kafka.ts'
import { isListening } from '../../tools/servers/ports.ts'
import { requirePrerequisites, thisMachine } from '../../tools/servers/prerequisites.ts'
import { runProgram } from '../../tools/servers/run-program.ts'
import { stackPaths } from '../../tools/servers/stack-record.ts'
import { claimPorts } from './claims.ts'
import { closeWith } from './cleanup.ts'
import { eventually } from './poll.ts'

export const BROKERS = 3
const CONTROLLER = 0
const FORMAT_LIMIT_MS = 60_000
const JAVA_FLAGS = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']
/** A killed broker is detected soon, and comes back as soon. */
const SHARED_SETTINGS = {
  'default.replication.factor': '3',
  'min.insync.replicas': '2',
  'offsets.topic.replication.factor': '3',
  'transaction.state.log.replication.factor': '3',
  'transaction.state.log.min.isr': '2',
  'broker.session.timeout.ms': '2000',
  'broker.heartbeat.interval.ms': '300',
}

export interface OwnCluster {
  /** Ends a broker with SIGKILL. */
  kill(broker: number): Promise<void>
  /** Starts a broker again on the same address and data; resolves once every partition has all of its replicas in sync. */
  restart(broker: number): Promise<void>
}

/** Starts a cluster that this file's streams use; the cluster and its data are removed when the test ends. */
export async function openCluster(t: TestContext): Promise<OwnCluster> {
  const found = await requirePrerequisites(['java'], thisMachine(process.env), () => undefined)
  const java = found.get('java') ?? 'java'
  const paths = stackPaths(join(import.meta.dirname, '../..'))
  const classpath = join(jarsFolder(paths.pomFile, paths.kafkaFolder), '*')
  const template = readFileSync(paths.kafkaTemplate, 'utf8')
  const folder = mkdtempSync(join(tmpdir(), 'sluice-cluster-'))
  const { ports, release } = await claimPorts(BROKERS + 1)
  const portOf = (node: number): number => ports[node] ?? 0
  const nodes = Array.from({ length: BROKERS + 1 }, (_, node) => node)
  const children = new Map<number, ChildProcess>()

  const settingsFile = (node: number): string => join(folder, `${node}.properties`)
  const end = async (node: number): Promise<void> => {
    const child = children.get(node)
    if (child === undefined) return
    children.delete(node)
    const exit = once(child, 'exit')
    child.kill('SIGKILL')
    await exit
  }
  const start = async (node: number): Promise<void> => {
    const quiet = '-Dorg.slf4j.simpleLogger.defaultLogLevel=off'
    const args = [...JAVA_FLAGS, quiet, '-cp', classpath, 'kafka.Kafka', settingsFile(node)]
    children.set(node, spawn(java, args, { stdio: 'ignore' }))
    await eventually(`node ${node} listens`, () => isListening(portOf(node)))
  }
  closeWith(t, async () => {
    await Promise.all(nodes.map(end))
    await release()
    rmSync(folder, { recursive: true })
  })

  const clusterId = `A${randomBytes(16).toString('base64url').slice(1)}`
  for (const node of nodes) {
    const settings = fillTemplate(template, {
      BROKER_PORT: String(portOf(node)),
      CONTROLLER_PORT: String(portOf(CONTROLLER)),
      DATA_FOLDER: join(folder, String(node)),
    })
    writeFileSync(settingsFile(node), withValues(settings, ownSettings(node, portOf)))
  }
  await Promise.all(
    nodes.map(async (node) => {
      const format = [
        'kafka.tools.StorageTool',
        'format',
        '-t',
        clusterId,
        '-c',
        settingsFile(node),
      ]
      const args = [...JAVA_FLAGS, '-cp', classpath, ...format]
      const { code, output } = await runProgram(java, args, { limitMs: FORMAT_LIMIT_MS })
      if (code !== 0) throw new Error(output)
    }),
  )
  await Promise.all(nodes.map(start))

  const addresses = nodes.slice(1).map((node) => `127.0.0.1:${portOf(node)}`)
  process.env['SLUICE_KAFKA_BROKERS'] = addresses.join(',')
  const inSync = (): Promise<void> =>
    eventually('all replicas are in sync', () => isInSync(addresses).catch(() => false), {
      intervalMs: 100,
    })
  await inSync()
  return {
    kill: (broker) => end(broker + 1),
    async restart(broker) {
      await start(broker + 1)
      await inSync()
    },
  }
}

function ownSettings(node: number, portOf: (node: number) => number): Record<string, string> {
  const isController = node === CONTROLLER
  const listener = isController ? 'CONTROLLER' : 'PLAINTEXT'
  return {
    ...SHARED_SETTINGS,
    'node.id': String(node),
    'process.roles': isController ? 'controller' : 'broker',
    'controller.quorum.voters': `${CONTROLLER}@127.0.0.1:${portOf(CONTROLLER)}`,
    listeners: `${listener}://127.0.0.1:${portOf(node)}`,
    'advertised.listeners': `${listener}://127.0.0.1:${portOf(node)}`,
  }
}

/** Properties with some values replaced or added. */
function withValues(properties: string, values: Readonly<Record<string, string>>): string {
  const kept = properties.split('\n').filter((line) => !((line.split('=')[0] ?? '') in values))
  const own = Object.entries(values).map(([name, value]) => `${name}=${value}`)
  return [...kept, ...own, ''].join('\n')
}

async function isInSync(brokers: readonly string[]): Promise<boolean> {
  const kafka = new kafkajs.Kafka({
    brokers: [...brokers],
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { retries: 0 },
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    const [cluster, { topics }] = [await admin.describeCluster(), await admin.fetchTopicMetadata()]
    const partitions = topics.flatMap((topic) => topic.partitions)
    return (
      cluster.brokers.length === BROKERS &&
      partitions.every(({ isr, replicas }) => isr.length === replicas.length)
    )
  } finally {
    await admin.disconnect()
  }
}
