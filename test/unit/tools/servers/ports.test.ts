import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { freePorts, isListening, isPortFree } from '../../../../tools/servers/ports.ts'

async function takePort(t: TestContext, host: string): Promise<number> {
  const server = createServer()
  t.after(() => server.close())
  server.listen(0, host)
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

test('a port that somebody listens on is not free, on loopback and on all interfaces', async (t) => {
  for (const host of ['127.0.0.1', '0.0.0.0']) {
    const port = await takePort(t, host)
    strictEqual(await isPortFree(port), false, host)
    strictEqual(await isListening(port), true, host)
  }
})

test('the next free ports after a taken one are chosen, next to each other', async (t) => {
  const taken = await takePort(t, '127.0.0.1')
  const ports = await freePorts(taken, 2)
  const [first = 0, second = 0] = ports
  ok(first > taken)
  strictEqual(second, first + 1)
  deepStrictEqual(await Promise.all(ports.map(isPortFree)), [true, true])
})
