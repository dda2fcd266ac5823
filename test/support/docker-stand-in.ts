// A stand-in for a Docker engine, for machines that have none. It answers the few calls that Testcontainers makes, over
// real HTTP, records the requests, and runs nothing: a "started" container is a proxy on its published port to a server
// that already runs. It shows the requests to Docker and that all containers are removed again. It does not show that
// the images start with these settings; only a real engine does.

import { randomBytes } from 'node:crypto'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** The fields of a request to create a container that are used here. */
export interface CreateRequest {
  readonly Image: string
  readonly Hostname?: string
  readonly Cmd?: readonly string[]
  readonly Env?: readonly string[]
  readonly Labels?: Readonly<Record<string, string>>
  readonly HostConfig: {
    readonly PortBindings: Readonly<
      Record<string, readonly { readonly HostIp?: string; readonly HostPort: string }[]>
    >
  }
}

/** Servers behind the images. */
export interface StandInImage {
  /** Part of the image's name. */
  readonly name: string
  /** Target of its published port, or null when the container must not start. */
  readonly target: { readonly host: string; readonly port: number } | null
  readonly logLine: string
}

export interface StandInContainer {
  readonly id: string
  readonly created: CreateRequest
  /** Bytes copied into it. */
  copiedBytes: number
  state: 'created' | 'running' | 'stopped' | 'removed'
}

export interface DockerStandIn {
  /** For DOCKER_HOST. */
  readonly url: string
  readonly containers: readonly StandInContainer[]
  /** Unknown calls; a test expects none. */
  readonly unknown: readonly string[]
  close(): Promise<void>
}

interface Running extends StandInContainer {
  readonly image: StandInImage
  readonly doors: Server[]
  readonly sockets: Set<Socket>
  ports: Record<string, { readonly HostIp: string; readonly HostPort: string }[]>
}

type Answer = { readonly status: number; readonly body?: unknown }

/** Listens on a free port of the loopback interface. */
export async function openDockerStandIn(images: readonly StandInImage[]): Promise<DockerStandIn> {
  const containers = new Map<string, Running>()
  const unknown: string[] = []
  const server = createHttpServer((request, response) => {
    void respond(request, response, images, containers, unknown)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `tcp://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get containers() {
      return [...containers.values()]
    },
    unknown,
    async close() {
      for (const container of containers.values()) closeDoors(container)
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function respond(
  request: IncomingMessage,
  response: ServerResponse,
  images: readonly StandInImage[],
  containers: Map<string, Running>,
  unknown: string[],
): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://stand-in')
  const path = url.pathname.replace(/^\/v[\d.]+/, '')
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  const body = Buffer.concat(chunks)
  const call = `${request.method ?? ''} ${path}`
  const [, id = '', verb = ''] = /^\/containers\/([0-9a-f]{64})(?:\/(\w+))?$/.exec(path) ?? []
  const container = containers.get(id)
  if (container !== undefined && verb === 'logs') {
    sendLog(response, container.image.logLine)
    return
  }
  const answer =
    container === undefined
      ? answerEngine(call, body, images, containers)
      : await answerContainer(`${request.method ?? ''} ${verb}`.trim(), body, container)
  if (answer === null) unknown.push(call)
  const { status, body: value } = answer ?? {
    status: 404,
    body: { message: `the stand-in does not know ${call}` },
  }
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(value === undefined ? '' : JSON.stringify(value))
}

function answerEngine(
  call: string,
  body: Buffer,
  images: readonly StandInImage[],
  containers: Map<string, Running>,
): Answer | null {
  if (call === 'GET /info') {
    return {
      status: 200,
      body: { ServerVersion: 'stand-in', OSType: 'linux', OperatingSystem: 'none' },
    }
  }
  if (call === 'GET /containers/json') return { status: 200, body: [] }
  // Every image is already present; nothing is fetched.
  if (/^GET \/images\/.+\/json$/.test(call)) return { status: 200, body: { Id: 'sha256:0' } }
  if (call !== 'POST /containers/create') return null
  const created = JSON.parse(body.toString('utf8')) as CreateRequest
  const image = images.find(({ name }) => created.Image.includes(name))
  if (image === undefined)
    return { status: 404, body: { message: `no stand-in for ${created.Image}` } }
  const id = randomBytes(32).toString('hex')
  const parts = { doors: [], sockets: new Set<Socket>(), ports: {} }
  containers.set(id, { id, created, image, copiedBytes: 0, state: 'created', ...parts })
  return { status: 201, body: { Id: id, Warnings: [] } }
}

async function answerContainer(
  call: string,
  body: Buffer,
  container: Running,
): Promise<Answer | null> {
  switch (call) {
    case 'PUT archive':
      container.copiedBytes += body.length
      return { status: 200 }
    case 'POST start':
      if (container.image.target === null) {
        return { status: 500, body: { message: 'the stand-in was told to fail' } }
      }
      await openDoors(container, container.image.target)
      container.state = 'running'
      return { status: 204 }
    case 'GET json':
      return { status: 200, body: inspect(container) }
    case 'POST stop':
      closeDoors(container)
      container.state = 'stopped'
      return { status: 204 }
    case 'DELETE':
      closeDoors(container)
      container.state = 'removed'
      return { status: 204 }
    default:
      return null
  }
}

/** Opens each published port, the requested one or any, and forwards its connections. */
async function openDoors(
  container: Running,
  target: { readonly host: string; readonly port: number },
): Promise<void> {
  for (const [port, bindings] of Object.entries(container.created.HostConfig.PortBindings)) {
    const door = createServer((client) => {
      const server = connect(target)
      for (const socket of [client, server]) {
        container.sockets.add(socket)
        socket.on('error', () => {
          client.destroy()
          server.destroy()
        })
      }
      client.pipe(server).pipe(client)
    })
    container.doors.push(door)
    const wanted = Number(bindings[0]?.HostPort ?? 0)
    await new Promise<void>((resolve, reject) => {
      door.once('error', reject)
      door.listen(wanted, '127.0.0.1', resolve)
    })
    const HostPort = String((door.address() as AddressInfo).port)
    container.ports[port] = [{ HostIp: '127.0.0.1', HostPort }]
  }
}

function closeDoors({ doors, sockets }: Running): void {
  for (const socket of sockets) socket.destroy()
  for (const door of doors.splice(0)) door.close()
}

function inspect({ id, created, state, ports }: Running): unknown {
  const isRunning = state === 'running'
  return {
    Id: id,
    Name: `/stand-in-${id.slice(0, 8)}`,
    Config: { Hostname: created.Hostname ?? '', Labels: created.Labels ?? {} },
    State: { Status: state, Running: isRunning, StartedAt: new Date(0).toISOString() },
    NetworkSettings: { Ports: ports, Networks: {} },
  }
}

/** One line on standard output, framed as Docker frames the log of a container without a terminal. */
function sendLog(response: ServerResponse, line: string): void {
  const text = Buffer.from(`${line}\n`)
  const header = Buffer.alloc(8)
  header[0] = 1
  header.writeUInt32BE(text.length, 4)
  response.writeHead(200, { 'content-type': 'application/vnd.docker.raw-stream' })
  response.write(Buffer.concat([header, text]))
}
