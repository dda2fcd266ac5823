// Goal: one status names the policy that decides, and stays correct while the policy changes. Method: a stream with a
// scorer, changed by the commands; the status is read after each change.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import {
  decide,
  fileOf,
  inForce,
  POLICY_HEAD,
  run,
  say,
  setUp,
  type PolicySetup,
} from '../support/policy-stream.ts'
import { startScorer } from '../support/scorer-process.ts'
import { simulatedEvents } from '../support/streams.ts'

const WITH_LIST = `${POLICY_HEAD}thresholds: {flag: 0.5, block: 0.9}
lists:
  - {name: stolen, field: card, effect: block}
  - {name: vip, field: card, effect: allow}
segments:
  - {name: large, when: transaction.referenceMinor >= 2000}
breakers:
  - {windowMinutes: 60, blocksPerMinuteMax: 1000}
`

interface Status {
  readonly active: {
    readonly isBuiltIn: boolean
    readonly version: number | null
    readonly name: string | null
    readonly mode: string | null
    readonly problem: string | null
    readonly since: {
      readonly author: string
      readonly reason: string
      readonly isExact: boolean
    } | null
    readonly versionSince: { readonly position: number } | null
    readonly segments: readonly object[]
  }
  readonly shadow: { readonly version: number } | null
  readonly lists: readonly {
    readonly name: string
    readonly entries: number
    readonly endingWithinDay: number
  }[]
  readonly breakers: {
    readonly partitions: readonly { readonly isOpen: boolean }[]
    readonly open: number
  }
  readonly rollback: readonly { readonly isBuiltIn: boolean; readonly version: number }[]
  readonly scorers: {
    readonly running: number
    readonly asked: readonly { readonly verdict: string; readonly version: number | null }[]
  }
}

async function look(setup: PolicySetup, ...more: readonly string[]) {
  const { code, stdout, stderr } = await run(setup, 'policy', 'status', '--json', ...more)
  ok(stdout !== '', stderr)
  return { code, status: JSON.parse(stdout) as Status }
}

test('the status follows every change, and asks the scorer which policy it serves', async (t) => {
  const setup = await setUp(t, 'policy-status')
  const nothing = await look(setup)
  strictEqual(nothing.code, 0)
  deepStrictEqual(
    [nothing.status.active.isBuiltIn, nothing.status.active.since, nothing.status.rollback],
    [true, null, []],
  )
  deepStrictEqual(nothing.status.scorers, { running: 0, asked: [], isGuess: true })

  const scorer = await startScorer(t, setup.environment)
  const at = ['--scorer', `127.0.0.1:${scorer.metricsPort}`]
  const builtIn = await look(setup, ...at)
  deepStrictEqual(
    [builtIn.code, builtIn.status.scorers.running, builtIn.status.scorers.asked[0]?.verdict],
    [0, 1, 'serves'],
  )

  const applied = await say(setup, 'policy', 'apply', fileOf(setup, WITH_LIST), '--author', 'anna')
  await say(setup, 'list', 'add', 'stolen', 'card-1', '--until', '2h')
  const last = await say(setup, 'list', 'add', 'stolen', 'card-2', '--until', '30d')
  await inForce(scorer, last.active)
  await decide(setup, await simulatedEvents(200))
  const shadow = fileOf(setup, WITH_LIST.replace('cards', 'bold'))
  await say(setup, 'policy', 'shadow', shadow)
  const { code, status } = await look(setup, ...at)
  strictEqual(code, 0)
  const { active } = status
  deepStrictEqual([active.name, active.version, active.mode], ['cards', 3, 'observe'])
  deepStrictEqual([active.since?.author, active.since?.isExact], ['anna', true])
  strictEqual(active.versionSince?.position, last.position)
  deepStrictEqual(active.segments, [{ name: 'large', mode: 'observe', isOwn: false }])
  strictEqual(status.shadow?.version, 4)
  deepStrictEqual(
    status.lists.map(({ name, entries, endingWithinDay }) => [name, entries, endingWithinDay]),
    [
      ['stolen', 2, 1],
      ['vip', 0, 0],
    ],
  )
  ok(status.breakers.partitions.length > 0)
  strictEqual(status.breakers.open, 0)
  deepStrictEqual(
    status.rollback.map((one) => one.isBuiltIn),
    [true],
  )
  deepStrictEqual(
    status.scorers.asked.map(({ verdict, version }) => [verdict, version]),
    [['serves', 3]],
  )
  const { stdout } = await run(setup, 'policy', 'status', ...at)
  match(stdout, /^policy {4}cards, version 3 \([0-9a-f]{12}\)$/m)
  match(stdout, /serves it \(version 3\)/)

  // A policy missing from the store is reported with the remedy, and a stopped scorer is not counted as serving.
  rmSync(join(setup.store, 'policies', `${last.active ?? ''}.json`))
  await scorer.end('SIGTERM')
  const lost = await look(setup, ...at)
  strictEqual(lost.code, 1)
  deepStrictEqual(
    [lost.status.active.version, lost.status.scorers.asked[0]?.verdict],
    [null, 'unreachable'],
  )
  match(lost.status.active.problem ?? '', /has no ruleset [0-9a-f]{64}\. Apply the policy again/)
  ok(applied.active !== last.active)
})
