// Claims a resource that two test files must not use at once, such as a port or a Redis database. A claim is a port
// with a listener: the system gives it to one process, and takes it back however that process ends. So no claim
// outlives its holder, and none has to be renewed.

import { once } from 'node:events'
import { createServer } from 'node:net'
import { isPortFree } from '../../tools/servers/ports.ts'

const HOST = '127.0.0.1'
/** Below the ports that the system uses for outgoing connections. */
const FIRST_PORT = 19_600
/** The first port of each range is the claim on the others. */
const PORTS_PER_BLOCK = 16
const BLOCKS = 20
const FIRST_DATABASE_PORT = FIRST_PORT + PORTS_PER_BLOCK * BLOCKS

export interface Claim {
  readonly release: () => Promise<void>
}

export interface ClaimedPorts extends Claim {
  readonly ports: readonly number[]
}

/** Up to fifteen adjacent ports, which no other test gets before the release. @throws Error when all are taken. */
export async function claimPorts(count: number): Promise<ClaimedPorts> {
  if (count >= PORTS_PER_BLOCK) throw new Error(`${count} ports are more than a claim holds.`)
  for (let block = 0; block < BLOCKS; block += 1) {
    const first = FIRST_PORT + block * PORTS_PER_BLOCK
    const claim = await claimPort(first)
    if (claim === null) continue
    const ports = Array.from({ length: count }, (_, index) => first + 1 + index)
    const free = await Promise.all(ports.map(isPortFree))
    if (free.every(Boolean)) return { ports, release: claim.release }
    await claim.release()
  }
  throw new Error(`Every port from ${FIRST_PORT} to ${FIRST_DATABASE_PORT - 1} is taken.`)
}

/** A database of Redis, or null when another test has it. */
export function claimDatabase(database: number): Promise<Claim | null> {
  return claimPort(FIRST_DATABASE_PORT + database)
}

async function claimPort(port: number): Promise<Claim | null> {
  const server = createServer().unref()
  try {
    server.listen({ host: HOST, port, exclusive: true })
    await once(server, 'listening')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    return null
  }
  return {
    release: async () => {
      server.close()
      await once(server, 'close')
    },
  }
}
