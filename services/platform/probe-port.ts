// Probes the protocol of a port with a greeting, for errors that are more specific than "connection closed".

import { connect, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'

const PROBE_MS_MAX = 2_000
/** First bytes of a TLS alert, which is how most TLS ports answer plain text. */
const TLS_ALERT = Buffer.from([0x15, 0x03])

/** `plain`: it answered the greeting. `nothing`: neither that nor TLS. */
export type PortProbe = 'tls' | 'plain' | 'nothing'

/** Sends the greeting in plain text and examines the answer; without an answer, tries TLS. */
export async function probePort(
  address: string,
  port: number,
  greeting: Uint8Array,
): Promise<PortProbe> {
  const host = address.replace(/^\[|\]$/g, '')
  const probe = await probePlainText(host, port, greeting)
  if (probe !== 'nothing') return probe
  return (await speaksTls(host, port)) ? 'tls' : 'nothing'
}

function probePlainText(host: string, port: number, greeting: Uint8Array): Promise<PortProbe> {
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const finish = (probe: PortProbe): void => {
      socket.destroy()
      resolve(probe)
    }
    const nothing = (): void => {
      finish('nothing')
    }
    socket.setTimeout(PROBE_MS_MAX, nothing)
    socket.once('error', nothing)
    socket.once('close', nothing)
    socket.once('data', (bytes) => {
      finish(bytes.subarray(0, 2).equals(TLS_ALERT) ? 'tls' : 'plain')
    })
    socket.write(greeting)
  })
}

/** True when the port speaks TLS. Nothing is sent over it, so certificates need not be verified. */
function speaksTls(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const servername = isIP(host) === 0 ? { servername: host } : {}
    const socket = connectTls({ host, port, rejectUnauthorized: false, ...servername })
    const finish = (answer: boolean): void => {
      socket.destroy()
      resolve(answer)
    }
    const no = (): void => {
      finish(false)
    }
    socket.setTimeout(PROBE_MS_MAX, no)
    socket.on('error', no)
    socket.once('close', no)
    socket.once('secureConnect', () => {
      finish(true)
    })
  })
}
