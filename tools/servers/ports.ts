// Ports on the loopback interface: tests whether they are free, and finds the first free ones from a wanted port on.

import { connect, createServer } from 'node:net'
import { SluiceError } from '../../services/core/errors.ts'

const HOST = '127.0.0.1'
const PORTS_TRIED_MAX = 200
const CONNECT_LIMIT_MS = 500

/** True when nobody listens on the port and this process could. */
export async function isPortFree(port: number): Promise<boolean> {
  // Some systems allow a second listener beside one on all interfaces, so both are checked.
  return !(await isListening(port)) && (await canListen(port))
}

/** True when something accepts connections on the port. */
export function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: HOST, port })
    const finish = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(CONNECT_LIMIT_MS, () => {
      finish(false)
    })
    socket.once('connect', () => {
      finish(true)
    })
    socket.once('error', () => {
      finish(false)
    })
  })
}

/**
 * The first run of `count` free ports next to each other, from `wanted` on.
 * @throws SluiceError SLUICE_PROVISION_FAILED when 200 tries found none.
 */
export async function freePorts(wanted: number, count: number): Promise<readonly number[]> {
  for (let first = wanted; first < wanted + PORTS_TRIED_MAX; first += count) {
    const ports = Array.from({ length: count }, (_, index) => first + index)
    const free = await Promise.all(ports.map(isPortFree))
    if (free.every(Boolean)) return ports
  }
  throw new SluiceError(
    'SLUICE_PROVISION_FAILED',
    `No free port on ${HOST} from ${wanted} to ${wanted + PORTS_TRIED_MAX - 1}. End what listens there, or give addresses in SLUICE_KAFKA_BROKERS and SLUICE_REDIS_URL.`,
  )
}

function canListen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => {
      resolve(false)
    })
    server.listen({ host: HOST, port, exclusive: true }, () => {
      server.close(() => {
        resolve(true)
      })
    })
  })
}
