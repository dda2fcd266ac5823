// A proxy in front of one broker that breaks a connection at a chosen request: before the broker has received it, or
// when its answer arrives. The broker's advertised address bypasses it, so the client must be redirected here.

import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'

type Loss = 'request' | 'answer'

export interface KafkaProxy {
  readonly host: string
  readonly port: number
  /** Breaks the connection of the next request of this api key. */
  loseNext(apiKey: number, loss: Loss): void
  /** From now on requests of this api key are passed to nobody, and their connections stay open; null ends it. */
  swallow(apiKey: number | null): void
  /** Requests that were swallowed. */
  readonly swallowed: number
  /** Connections that were broken. */
  readonly broken: number
  close(): Promise<void>
}

export async function openKafkaProxy(broker: string): Promise<KafkaProxy> {
  const [host = '', port = ''] = broker.split(':')
  const sockets = new Set<Socket>()
  let armed: { readonly apiKey: number; readonly loss: Loss } | null = null
  let broken = 0
  let silentKey: number | null = null
  let swallowed = 0

  const server = createServer({ noDelay: true }, (client) => {
    const upstream = connect({ host, port: Number(port), noDelay: true })
    /** Correlation id of the answer that is dropped. */
    let doomed: number | null = null
    const cut = (): void => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', cut)
      socket.on('close', () => {
        sockets.delete(socket)
        cut()
      })
    }
    onFrames(client, (frame) => {
      if (frame.readInt16BE(4) === silentKey) {
        swallowed += 1
        return
      }
      if (armed !== null && frame.readInt16BE(4) === armed.apiKey) {
        const { loss } = armed
        armed = null
        broken += 1
        if (loss === 'request') {
          cut()
          return
        }
        doomed = frame.readInt32BE(8)
      }
      upstream.write(frame)
    })
    onFrames(upstream, (frame) => {
      if (frame.readInt32BE(4) === doomed) cut()
      else client.write(frame)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    host: '127.0.0.1',
    port: (server.address() as AddressInfo).port,
    loseNext(apiKey, loss) {
      armed = { apiKey, loss }
    },
    swallow(apiKey) {
      silentKey = apiKey
    },
    get swallowed() {
      return swallowed
    },
    get broken() {
      return broken
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

/** Calls back for each request or answer, with its length prefix. */
function onFrames(socket: Socket, onFrame: (frame: Buffer) => void): void {
  let pending = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    while (pending.length >= 4 && !socket.destroyed) {
      const end = 4 + pending.readInt32BE(0)
      if (pending.length < end) break
      onFrame(pending.subarray(0, end))
      pending = pending.subarray(end)
    }
  })
}
