import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  type DescribedRuleset,
  type PolicyStatus,
  statusJson,
  statusLines,
  statusOn,
} from '../../../../services/cli/policy/policy-status.ts'
import { policyOf } from '../../core/policy/policy-fixture.ts'

const AT_MS = Date.UTC(2026, 10, 20, 10, 2)
const WORD = { author: 'anna', reason: 'autumn', atMs: AT_MS, position: 3, isFirst: true }
const BUILT_IN: DescribedRuleset = { digest: null, ruleset: null, document: null, problem: null }

function described(version: number, name: string, letter: string): DescribedRuleset {
  return {
    digest: letter.repeat(64),
    ruleset: {
      ...{ version, policy: 'f'.repeat(64), mode: 'observe' },
      ...{ segmentModes: { online: 'flag' }, lists: {} },
    },
    document: policyOf(`apiVersion: sluice/v1\nname: ${name}\nmatch: first\n`),
    problem: null,
  }
}

const STATUS: PolicyStatus = {
  store: 'store',
  active: described(7, 'cards', 'a'),
  since: WORD,
  changed: {
    ...WORD,
    author: 'ben',
    reason: 'a stolen card',
    position: 5,
    atMs: AT_MS + 86_400_000,
  },
  segments: [
    { name: 'online', mode: 'flag', isOwn: true },
    { name: 'large', mode: 'observe', isOwn: false },
  ],
  shadow: { ruleset: described(8, 'bold', 'b'), since: { ...WORD, isFirst: false } },
  lists: [
    {
      ...{ name: 'stolen', digest: 'c'.repeat(64), problem: null },
      counts: { entries: 120, ended: 4, endingWithinDay: 3 },
    },
    {
      name: 'vip',
      digest: null,
      counts: { entries: 0, ended: 0, endingWithinDay: 0 },
      problem: null,
    },
  ],
  breakers: {
    ...{ group: 'sluice-scorer', resets: 1 },
    partitions: [
      { partition: 0, part: 'all', trippedAt: null, blocksInMinute: 2, isOpen: false },
      { partition: 1, part: 'all', trippedAt: 1, blocksInMinute: 9, isOpen: true },
    ],
  },
  earlier: [described(5, 'cards', 'd'), BUILT_IN],
  scorers: { running: 2, isGuess: true, asked: [] },
}

const PAGE = `# HELP sluice_policy_version x
sluice_policy_version{role="active"} 7
sluice_policy_version{role="shadow"} 0
sluice_policy_info{policy_digest="${'a'.repeat(64)}",mode="observe"} 1
sluice_policy_refused{role="active",reason="not_found"} 0
sluice_partitions_assigned 3
`

test('everything that decides is on one screen', () => {
  deepStrictEqual(statusLines(STATUS), [
    'policy    cards, version 7 (aaaaaaaaaaaa)',
    '          since 2026-11-20 10:02 UTC by anna: autumn',
    '          this version since 2026-11-21 10:02 UTC by ben: a stolen card',
    'modes     observe, online flag, large observe (of the policy)',
    'shadow    bold, version 8 (bbbbbbbbbbbb)',
    '          since 2026-11-20 10:02 UTC or before by anna: autumn',
    'lists     stolen  120 entries, 3 end within a day, 4 have ended',
    '          vip     never filled',
    'breakers  partition 1  all  TRIPPED: blocks are flags',
    '          the other 1 of 2 partitions are closed; "sluice breaker reset" closes all',
    'rollback  cards, version 5 (dddddddddddd), observe',
    '          built-in',
    'scorers   2 of 2 scorers not known: give the address of each metrics page with --scorer',
  ])
})

test('a stream of which nobody has said anything is told in as many lines', () => {
  const nothing: PolicyStatus = {
    ...{ store: 'store', active: BUILT_IN, since: null, changed: null, segments: [], shadow: null },
    ...{ lists: [], earlier: [] },
    breakers: { group: 'g', resets: 0, partitions: [] },
    scorers: { running: 0, asked: [], isGuess: true },
  }
  deepStrictEqual(statusLines(nothing), [
    'policy    built-in',
    'modes     SLUICE_MODE of each scorer: not known here',
    'shadow    none',
    'lists     none',
    'breakers  not known: no partition of group g has committed one yet',
    'rollback  nothing to go back to',
    'scorers   none runs',
  ])
})

test('what a scorer serves is told apart from what it should serve, and from silence', () => {
  const on = (page: string, active: string | null) =>
    statusOn('http://127.0.0.1:1/metrics', page, active)
  const serves = on(PAGE, 'a'.repeat(64))
  deepStrictEqual(
    [serves.verdict, serves.version, serves.mode, serves.partitions],
    ['serves', 7, 'observe', 3],
  )
  strictEqual(on(PAGE, 'b'.repeat(64)).verdict, 'serves_another')
  strictEqual(on(PAGE, null).verdict, 'serves_another')
  const refusing = PAGE.replace('reason="not_found"} 0', 'reason="not_found"} 1')
  const refuses = on(refusing, 'b'.repeat(64))
  deepStrictEqual([refuses.verdict, refuses.problem], ['refuses', 'not_found'])
  strictEqual(on('sluice_partitions_assigned 3\n', null).verdict, 'no_scorer')
  const builtIn = PAGE.replace('role="active"} 7', 'role="active"} 0')
  strictEqual(on(builtIn, null).verdict, 'serves')
  const asked = [serves, { ...refuses, url: 'http://127.0.0.1:2/metrics' }]
  const lines = statusLines({ ...STATUS, scorers: { running: 2, asked, isGuess: false } })
  deepStrictEqual(lines.slice(-2), [
    'scorers   127.0.0.1:1  serves it (version 7)',
    '          127.0.0.1:2  REFUSES it (not_found) and serves version 7; see SluicePolicyRefused in docs/runbook.md',
  ])
})

test('what the store cannot tell is said at its place, with the remedy, and never as a version', () => {
  const problem = 'The store has no ruleset. Copy it.'
  const active = { ...STATUS.active, ruleset: null, document: null, problem }
  const lines = statusLines({ ...STATUS, active, changed: STATUS.since })
  ok(lines.includes(`          !! ${problem}`), lines.join('\n'))
  ok(lines.includes('modes     not known: the store does not have the ruleset'))
  const json = JSON.parse(JSON.stringify(statusJson({ ...STATUS, active }))) as {
    readonly active: { readonly version: number | null; readonly problem: string | null }
  }
  deepStrictEqual([json.active.version, json.active.problem], [null, problem])
})

test('control characters of reasons do not reach the terminal', () => {
  const since = { ...WORD, reason: 'a\u001b[31mb' }
  ok(statusLines({ ...STATUS, since }).every((line) => !/\p{Cc}/u.test(line)))
})
