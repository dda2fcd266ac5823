// A page on loopback that shows the committed boards with the data of a Prometheus, made anew at each visit.

import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Closable } from '../../../platform/lifecycle.ts'
import type { LocalPrometheus } from '../../../platform/provision/local-prometheus.ts'

export interface BoardsPage extends Closable {
  readonly url: string
  /** The page from this time until now. */
  render(sinceMs: number): Promise<string>
}
export async function openBoardsPage(prometheus: LocalPrometheus): Promise<BoardsPage> {
  const server = createServer((_, response) => {
    response.end(prometheus.url)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    render: () => Promise.resolve(''),
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve()
        })
        server.closeAllConnections()
      }),
  }
}
