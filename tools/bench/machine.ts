// Context of every published number: the machine, and the versions of all components.

import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { repositoryRoot } from '../../services/cli/command.ts'
import { readBrokerVersions, releaseOf } from '../doctor/broker-versions.ts'
import { runProgram } from '../servers/run-program.ts'

const CLIENTS = ['kafkajs', 'ioredis', '@tensorflow/tfjs', '@tensorflow/tfjs-node'] as const

export interface Machine {
  readonly cpuModel: string
  readonly cores: number
  readonly memoryBytes: number
  readonly platform: string
  readonly node: string
  /** Versions of the client libraries; null when not installed. */
  readonly packages: Readonly<Record<string, string | null>>
  /** Runnable processes over the last 1, 5 and 15 minutes, before the first benchmark. */
  readonly loadAverage: readonly number[]
}

export interface ServerVersions {
  readonly kafka: string
  readonly redis: string
}

/** Current properties of this machine. */
export function describeMachine(): Machine {
  return {
    cpuModel: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    packages: Object.fromEntries(CLIENTS.map((name) => [name, packageVersion(name)])),
    loadAverage: loadAverage(),
  }
}

/** Runnable processes over the last 1, 5 and 15 minutes, two digits. */
export function loadAverage(): readonly number[] {
  return loadavg().map((load) => Math.round(load * 100) / 100)
}

/** Queries the versions of the servers; "unknown" if they do not reply. */
export async function readServerVersions(broker: string, redis: Redis): Promise<ServerVersions> {
  const colon = broker.lastIndexOf(':')
  const host = broker.slice(0, colon).replace(/^\[|\]$/g, '')
  const level = await readBrokerVersions(host, Number(broker.slice(colon + 1))).then(
    ({ features }) => features.get('metadata.version'),
    () => undefined,
  )
  const info = await redis.info('server')
  return {
    kafka: level === undefined ? 'unknown' : `${releaseOf(level)} (metadata.version ${level})`,
    redis: /^redis_version:(.*)$/m.exec(info)?.[1]?.trim() ?? 'unknown',
  }
}

function packageVersion(name: string): string | null {
  try {
    const text = readFileSync(join(repositoryRoot(), 'node_modules', name, 'package.json'), 'utf8')
    return (JSON.parse(text) as { readonly version?: string }).version ?? null
  } catch {
    return null
  }
}

// GPUs of a machine as their driver names them, published with every figure that was measured on one.

const LIMIT_MS = 10_000

/** One line per NVIDIA GPU with its driver; none if the driver's tool does not run. */
export async function readGpus(): Promise<readonly string[]> {
  const { code, output } = await runProgram(
    'nvidia-smi',
    ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'],
    { limitMs: LIMIT_MS },
  )
  if (code !== 0) return []
  return output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
