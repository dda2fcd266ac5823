// Paths and record of the local stack. Everything is written below one git-ignored folder.

import { join } from 'node:path'
import { z } from 'zod'
import { parseJson } from '../../services/core/parse-json.ts'
import {
  readFileIfPresent,
  writeFileAtomically,
} from '../../services/platform/files/atomic-file.ts'
import type { ProcessIdentity } from '../../services/platform/process-identity.ts'

export interface StackPaths {
  readonly root: string
  readonly state: string
  readonly lockFile: string
  readonly recordFile: string
  readonly kafkaFolder: string
  readonly redisFolder: string
  readonly kafkaTemplate: string
  readonly pomFile: string
  readonly redisConf: string
  readonly composeFile: string
}

/** Paths for a checkout; `stateFolder` is `<root>/.sluice` except in tests. */
export function stackPaths(root: string, stateFolder = join(root, '.sluice')): StackPaths {
  return {
    root,
    state: stateFolder,
    lockFile: join(stateFolder, 'run', 'stack.lock'),
    recordFile: join(stateFolder, 'run', 'stack.json'),
    kafkaFolder: join(stateFolder, 'kafka'),
    redisFolder: join(stateFolder, 'redis'),
    kafkaTemplate: join(root, 'infra', 'kafka', 'server.properties'),
    pomFile: join(root, 'infra', 'kafka', 'pom.xml'),
    redisConf: join(root, 'infra', 'redis', 'redis.conf'),
    composeFile: join(root, 'docker-compose.yml'),
  }
}

// The running servers, as written to .sluice/run/stack.json, by which a later command finds, checks and stops them.

/** A signal to pid 0 or below would reach whole groups of processes. */
export const IDENTITY: z.ZodType<ProcessIdentity> = z.object({
  pid: z.int().min(2),
  startTime: z.string(),
})

const SERVER = z
  .object({
    provider: z.enum(['local', 'compose']),
    /** Null for a server that Docker runs. */
    process: IDENTITY.nullable(),
    /** Clients use the first. */
    ports: z.array(z.int().min(1).max(65_535)).min(1).readonly(),
    /** Hash of everything that shapes the server; another hash means that it is out of date. */
    configHash: z.string(),
  })
  .readonly()
  .refine((server) => server.provider === 'compose' || server.process !== null)

/** One server that Sluice runs. */
export type ServerRecord = z.infer<typeof SERVER>

const RECORD = z.object({
  /** True once a person ran `sluice up`: then only `sluice down` stops the servers. */
  kept: z.boolean(),
  /** Processes that use the servers; the last living one stops them unless they are kept. */
  users: z.array(IDENTITY),
  kafka: SERVER.nullable(),
  redis: SERVER.nullable(),
})

export type StackRecord = z.infer<typeof RECORD>

/** A record of nothing running. */
export function emptyRecord(): StackRecord {
  return { kept: false, users: [], kafka: null, redis: null }
}

/** Reads the record; an absent or unreadable file means that nothing runs. */
export function readRecord(path: string): StackRecord {
  const text = readFileIfPresent(path)
  return (text === null ? null : parseRecord(text)) ?? emptyRecord()
}

/** Writes the record atomically. */
export function writeRecord(path: string, record: StackRecord): void {
  writeFileAtomically(path, `${JSON.stringify(record, null, 2)}\n`)
}

/** Parses a record, or returns null when the text is not one. */
export function parseRecord(text: string): StackRecord | null {
  return parseJson(RECORD, text)
}
