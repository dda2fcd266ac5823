// Goal: the one command of the README keeps its promise: a demo with a Prometheus, a fault, its alert firing and
// clearing, the dashboards as a file, nothing lost. Method: the command itself, as an operator types it.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import type { DemoSummary } from '../../tools/demo/summary.ts'
import { temporaryFolder } from '../support/prometheus.ts'

const ROOT = join(import.meta.dirname, '../..')

test('a fault of the demo raises its alert, which clears, and loses nothing', async (t) => {
  const folder = temporaryFolder(t)
  const [summaryFile, dashboardsFile] = [
    join(folder, 'summary.json'),
    join(folder, 'dashboards.html'),
  ]
  const child = spawn(
    process.execPath,
    [
      ...['infra/bootstrap.mjs', 'demo', '--fault', 'redis-away', '--exit'],
      ...['--summary', summaryFile, '--dashboards', dashboardsFile],
    ],
    // Under a test runner, children would otherwise report to it.
    {
      cwd: ROOT,
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  t.after(() => child.kill('SIGKILL'))
  const [said, [code]] = await Promise.all([
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null]>,
  ])
  strictEqual(code, 0, said)
  match(said, /FAULT +Redis is away/)
  match(said, /FIRING +SluiceRedisAway \(page\).*docs\/runbook\.md#sluiceredisaway/)
  match(said, /CLEARED +SluiceRedisAway/)

  const summary = JSON.parse(readFileSync(summaryFile, 'utf8')) as DemoSummary
  deepStrictEqual(summary.problems, [])
  strictEqual(summary.decisions, summary.transactions)
  ok((summary.fault?.firedAfterMs ?? 0) > 0 && (summary.fault?.clearedAfterMs ?? 0) > 0)

  const dashboards = readFileSync(dashboardsFile, 'utf8')
  for (const title of ['Decisions by outcome', 'Lag in seconds per partition', 'Redis memory'])
    ok(dashboards.includes(title), title)
  ok(dashboards.includes('<path'), 'lines are drawn')
})
