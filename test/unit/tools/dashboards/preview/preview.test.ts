// Goal: the command makes one file from the committed dashboards, and reports what it could not show. Method: the
// command as users run it, against a server that gives every query the same answer.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test, type TestContext } from 'node:test'
import { queriesOfDashboards } from '../../../../../tools/dashboards/preview/dashboard-files.ts'

const root = join(import.meta.dirname, '../../../../..')

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

async function preview(args: readonly string[]): Promise<Ended> {
  const program = [join(root, 'infra/bootstrap.mjs'), 'dashboards', 'preview', ...args]
  const child = spawn(process.execPath, program, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Without NODE_TEST_CONTEXT, or a test runner started here would report to ours.
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  })
  const code = new Promise<number | null>((resolve) => child.once('close', resolve))
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
  return { code: await code, stdout, stderr }
}

/** Answers as Prometheus does: one series of ones for every query, except those that hold `refused`. */
async function fakePrometheus(context: TestContext, refused: string | null = null) {
  const asked: URL[] = []
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://localhost')
    asked.push(url)
    const query = url.searchParams.get('query') ?? ''
    if (refused !== null && query.includes(refused)) {
      response.writeHead(422).end(JSON.stringify({ status: 'error', error: 'out of order' }))
      return
    }
    const time = Number(url.searchParams.get('start') ?? url.searchParams.get('time'))
    const series = { metric: { le: '0.5' }, values: [[time + 5, '1']], value: [time, '1'] }
    const data = { resultType: 'matrix', result: [series], activeTargets: [] }
    response.end(JSON.stringify({ status: 'success', data }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const folder = mkdtempSync(join(tmpdir(), 'sluice-dashboards-'))
  context.after(() => {
    server.close()
    server.closeAllConnections()
    rmSync(folder, { recursive: true })
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, out: join(folder, 'dashboards.html'), asked }
}

test('every panel and annotation of every dashboard is asked for, and the page is written', async (context) => {
  const { url, out, asked } = await fakePrometheus(context)
  const { code, stdout, stderr } = await preview(['--prometheus', url, '--out', out, '--json'])
  strictEqual(code, 0, stderr)
  const { panels } = JSON.parse(stdout) as {
    readonly panels: readonly { readonly state: string }[]
  }
  ok(panels.length >= 40)
  deepStrictEqual(new Set(panels.map(({ state }) => state)), new Set(['data']))
  const queries = asked.map(({ searchParams }) => searchParams.get('query')).filter(Boolean)
  const wanted = queriesOfDashboards().filter(({ kind }) => kind !== 'variable')
  strictEqual(queries.length, wanted.length)
  // $1 is a group of label_replace, not a variable.
  ok(!queries.some((query) => /\$(?!1")/.test(query ?? '')), 'every variable has a value')
  const html = readFileSync(out, 'utf8')
  for (const uid of ['sluice-fraud', 'sluice-stream', 'sluice-state-and-models', 'sluice-runtime'])
    match(html, new RegExp(`id="${uid}"`))
})

test('one dashboard can be asked for, and a refused query is named and ends in code 1', async (context) => {
  const { url, out } = await fakePrometheus(context, 'nodejs_gc_duration_seconds_sum')
  const args = ['--prometheus', url, '--out', out, '--dashboard', 'runtime', '--range', '1m']
  const { code, stdout } = await preview(args)
  strictEqual(code, 1)
  match(stdout, /4 of 5 panels show data/)
  match(stdout, /query failed: runtime: Garbage collection/)
  match(readFileSync(out, 'utf8'), /query failed: out of order/)
})

test('wrong options and a Prometheus that is away are named, with the remedy', async (context) => {
  const { url, out } = await fakePrometheus(context)
  const dashboard = await preview(['--prometheus', url, '--out', out, '--dashboard', 'frauds'])
  strictEqual(dashboard.code, 2)
  match(
    dashboard.stderr,
    /no dashboard "frauds"; the dashboards are fraud, stream, state-and-models, runtime/,
  )
  const file = await preview([
    '--prometheus',
    url,
    '--out',
    join(out, 'none', 'a.html'),
    '--dashboard',
    'runtime',
  ])
  strictEqual(file.code, 2)
  match(file.stderr, /cannot be written.*--out.*SLUICE_USAGE/)
  const address = await preview(['--prometheus', 'prometheus', '--out', out])
  strictEqual(address.code, 2)
  match(address.stderr, /http:\/\/127\.0\.0\.1:9090/)
  const away = await preview(['--prometheus', 'http://127.0.0.1:1', '--out', out])
  strictEqual(away.code, 1)
  match(
    away.stderr,
    /Prometheus at http:\/\/127\.0\.0\.1:1\/api\/v1\/targets cannot be reached.*PROMETHEUS_UNAVAILABLE/,
  )
})
