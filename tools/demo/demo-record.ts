// Which demos run, as written to .sluice/run/demos/: so that `sluice alerts tail` finds the running one, and what
// a killed one has left is found and told apart from what a living one uses.

import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { parseJson } from '../../services/core/parse-json.ts'
import {
  readFileIfPresent,
  writeFileAtomically,
} from '../../services/platform/files/atomic-file.ts'
import { identify, isAlive } from '../../services/platform/process-identity.ts'
import { IDENTITY } from '../servers/stack-record.ts'

const RECORD = z
  .object({
    id: z.string().regex(/^[0-9a-z]{4,32}$/),
    process: IDENTITY,
    brokers: z.array(z.string()).readonly(),
    topicPrefix: z.string(),
    startedAtMs: z.number(),
  })
  .readonly()

/** One demo. All its names begin with its id: `demo-<id>`. */
export type DemoRecord = z.infer<typeof RECORD>

/** The demo's topics, its consumer group and its stream all begin with this, and with nothing else's. */
export function demoName(id: string): string {
  return `demo-${id}`
}

/** The id in the name of a demo's topic or group, or null. */
export function demoIdOf(name: string): string | null {
  return /^demo-([0-9a-z]{4,32})(?:\.|$)/.exec(name)?.[1] ?? null
}

/** Writes the record of this process's demo; the returned function removes it. */
export function writeDemoRecord(
  stateFolder: string,
  record: Omit<DemoRecord, 'process'>,
): () => void {
  const me = identify(process.pid)
  const folder = recordFolder(stateFolder)
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${record.id}.json`)
  if (me !== null) writeFileAtomically(file, `${JSON.stringify({ ...record, process: me })}\n`)
  return () => {
    rmSync(file, { force: true })
  }
}

/** Living demos, newest first. Records of dead ones are removed. */
export function readLivingDemos(stateFolder: string): readonly DemoRecord[] {
  const folder = recordFolder(stateFolder)
  const living: DemoRecord[] = []
  for (const name of listFiles(folder)) {
    const record = parseDemoRecord(readFileIfPresent(join(folder, name)) ?? '')
    if (record !== null && isAlive(record.process)) living.push(record)
    else rmSync(join(folder, name), { force: true })
  }
  return living.sort((a, b) => b.startedAtMs - a.startedAtMs)
}

/** Parses a record, or returns null when the text is not one. */
export function parseDemoRecord(text: string): DemoRecord | null {
  return parseJson(RECORD, text)
}

function recordFolder(stateFolder: string): string {
  return join(stateFolder, 'run', 'demos')
}

function listFiles(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.json'))
  } catch {
    return [] // no demo has ever run
  }
}
