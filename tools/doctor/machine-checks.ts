// The machine: memory, disk and ports.

import { existsSync, readFileSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { freemem } from 'node:os'
import { isPortFree } from '../servers/ports.ts'
import type { StackPaths } from '../servers/stack-paths.ts'
import { readRecord } from '../servers/stack-record.ts'
import { fail, ok, warn, type Check, type Finding } from './finding.ts'

const GIB = 1024 ** 3
// Kafka takes up to 0.8 GiB, Redis and two Node processes the rest.
const MEMORY_BYTES_MIN = 1 * GIB
const MEMORY_BYTES_GOOD = 2 * GIB
const DISK_BYTES_MIN = 1 * GIB
const DISK_BYTES_GOOD = 5 * GIB
const DEFAULT_PORTS = [19_092, 19_093, 16_379]

/** Checks of what the machine has left. */
export function machineChecks(paths: StackPaths): readonly Check[] {
  return [
    { name: 'Memory', look: () => Promise.resolve(checkMemory(availableBytes())) },
    { name: 'Disk', look: () => checkDisk(paths.root) },
    { name: 'Ports', look: () => checkPorts(paths) },
  ]
}

/** Judges available memory, in bytes. */
export function checkMemory(bytes: number): Omit<Finding, 'name'> {
  const seen = `${(bytes / GIB).toFixed(1)} GiB available`
  if (bytes >= MEMORY_BYTES_GOOD) return ok(seen)
  const remedy = 'End other programs; 2 GiB are enough for all of Sluice on one machine.'
  return bytes >= MEMORY_BYTES_MIN ? warn(seen, remedy) : fail(seen, remedy)
}

async function checkDisk(folder: string): Promise<Omit<Finding, 'name'>> {
  const { bavail, bsize } = await statfs(folder)
  const bytes = bavail * bsize
  const seen = `${(bytes / GIB).toFixed(1)} GiB free at ${folder}`
  if (bytes >= DISK_BYTES_GOOD) return ok(seen)
  const remedy = "Free some space; Kafka's log lies in .sluice/ and grows with what is streamed."
  return bytes >= DISK_BYTES_MIN ? warn(seen, remedy) : fail(seen, remedy)
}

async function checkPorts(paths: StackPaths): Promise<Omit<Finding, 'name'>> {
  const record = readRecord(paths.recordFile)
  const ours = [...(record.kafka?.ports ?? []), ...(record.redis?.ports ?? [])]
  const others = DEFAULT_PORTS.filter((port) => !ours.includes(port))
  const free = await Promise.all(others.map(isPortFree))
  const taken = others.filter((_, index) => free[index] === false)
  if (taken.length === 0) {
    return ok(
      ours.length > 0 ? `in use by Sluice: ${ours.join(', ')}` : `free: ${others.join(', ')}`,
    )
  }
  return warn(
    `used by something else: ${taken.join(', ')}`,
    '"sluice up" takes the next free ports and says which; nothing needs to be done.',
  )
}

/** Memory that can be had without swapping, within the limit of a container. */
function availableBytes(): number {
  const text = existsSync('/proc/meminfo') ? readFileSync('/proc/meminfo', 'utf8') : ''
  const kibibytes = /^MemAvailable:\s+(\d+) kB/m.exec(text)?.[1]
  const machine = kibibytes === undefined ? freemem() : Number(kibibytes) * 1024
  const limit = process.constrainedMemory()
  return limit > 0 ? Math.min(machine, limit) : machine
}
