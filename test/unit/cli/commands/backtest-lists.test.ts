// Goal: a backtest compares each transaction with the lists that the policy of its time had, or with the requested
// ones, and reports which. Method: a lake decided by two rulesets of a store; the command as users run it.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { type ListContent, listText } from '../../../../services/core/policy/policy-lists.ts'
import { addList, addPolicyText, addRuleset } from '../../../../services/platform/policy-store.ts'
import { folderStore } from '../../../../services/platform/stores/folder-store.ts'
import { BLOCK_ROWS, decidedLake, type DecidedSample } from '../../../support/decided-lake.ts'
import { temporaryFolder } from '../../../support/model-variants.ts'
import { runSluice } from '../../../support/sluice-command.ts'

const POLICY = `apiVersion: sluice/v1
name: listed
match: strictest
thresholds: {flag: 0.999, block: 1}
lists:
  - {name: stolen, field: card, effect: block}
`

interface Report {
  readonly lists: readonly { readonly name: string; readonly from: string }[]
  readonly warnings: readonly string[]
  readonly facts: { readonly rows: number }
  readonly policies: readonly [
    {
      readonly rules: readonly { readonly name: string; readonly fired: number }[]
    },
  ]
}

function listOf(card: string, endMs: number | null): ListContent {
  const entry = { kind: 'value', value: card, reason: 'stolen', author: 'a test', endMs } as const
  return { name: 'stolen', entries: [entry] }
}

/** The first half was decided with one card on the list, the rest with another one. */
async function setUp(t: TestContext) {
  const store = temporaryFolder(t, 'store')
  const folder = folderStore(store)
  const policy = await addPolicyText(folder, POLICY)
  const add = async (version: number, list: ListContent): Promise<string> => {
    const lists = { stolen: await addList(folder, list) }
    return addRuleset(folder, { version, policy, mode: 'enforce', segmentModes: {}, lists })
  }
  const cards = ['card-a', 'card-b'] as const
  const digests = [await add(3, listOf(cards[0], null)), await add(4, listOf(cards[1], null))]
  const lake = await decidedLake(t, {
    transactions: 2 * BLOCK_ROWS,
    change: (events) =>
      events.map((event, index) =>
        event.kind === 'label'
          ? event
          : { ...event, transaction: { ...event.transaction, card: cards[index % 2] ?? '' } },
      ),
    policy: (first) => {
      const version = first < BLOCK_ROWS ? 3 : 4
      return { digest: digests[version - 3] ?? '', version }
    },
  })
  const samples = lake.samples.filter(({ duplicateOfOffset }) => duplicateOfOffset === null)
  const file = join(lake.folder, 'listed.yaml')
  writeFileSync(file, POLICY)
  const run = (...more: readonly string[]) =>
    runSluice(
      ['backtest', '--lake', lake.folder, '--store', store, '--policy', file, ...more, '--json'],
      {},
    )
  const report = async (...more: readonly string[]): Promise<Report> => {
    const { code, stdout, stderr } = await run(...more)
    strictEqual(code, 0, stderr)
    return JSON.parse(stdout) as Report
  }
  return { store, add, cards, samples, folder: lake.folder, run, report }
}

/** Number of transactions that were on the list. */
function heldOf({ policies: [{ rules }] }: Report): number {
  return rules.find(({ name }) => name === 'list/stolen')?.fired ?? 0
}

function countOf(
  samples: readonly DecidedSample[],
  isHeld: (sample: DecidedSample) => boolean,
): number {
  const held = samples.filter(isHeld).length
  // Otherwise the test would prove nothing.
  ok(held > 0 && held < samples.length)
  return held
}

test('each transaction is held against the list of the ruleset that decided it, unless another one is asked for', async (t) => {
  const { cards, samples, report, run } = await setUp(t)
  const ofTime = await report()
  const expected = countOf(
    samples,
    ({ offset, transaction: { card } }) => card === cards[offset < BLOCK_ROWS ? 0 : 1],
  )
  strictEqual(heldOf(ofTime), expected)
  deepStrictEqual(ofTime.lists, [
    { name: 'stolen', from: 'the rulesets that decided, versions 3 to 4' },
  ])
  deepStrictEqual(
    ofTime.warnings.filter((text) => text.includes('stolen')),
    [],
  )

  const fixed = await report('--lists-of', '4')
  const ofSecond = countOf(samples, ({ transaction: { card } }) => card === cards[1])
  strictEqual(heldOf(fixed), ofSecond)
  match(fixed.lists[0]?.from ?? '', /^ruleset version 4 \([0-9a-f]{12}\)$/)
  ok(fixed.warnings.some((text) => text.includes('added later')))
  const unknown = await run('--lists-of', '9')
  strictEqual(unknown.code, 1)
  match(unknown.stderr, /"9" is the version.*of 0 rulesets.*SLUICE_POLICY_NOT_FOUND/)
})

test('a file wins over the store and says so, and its entries count until their end', async (t) => {
  const { cards, samples, report, folder } = await setUp(t)
  const times = samples.map(({ transaction }) => transaction.eventTimeMs).sort((a, b) => a - b)
  const endMs = times[Math.floor(times.length / 3)] ?? 0
  const file = join(folder, 'stolen.json')
  writeFileSync(file, listText(listOf(cards[0], endMs)))
  const given = await report('--list', `stolen=${file}`, '--lists-of', '4')
  const expected = countOf(
    samples,
    ({ transaction: { card, eventTimeMs } }) => card === cards[0] && eventTimeMs < endMs,
  )
  strictEqual(heldOf(given), expected)
  deepStrictEqual(given.lists, [
    { name: 'stolen', from: `file ${file}, in place of what the ruleset has` },
  ])
})

test('a list that was not there, or that the store has lost, is empty, and the report says for how many', async (t) => {
  const { store, add, cards, samples, report } = await setUp(t)
  const digest = await add(3, listOf(cards[0], null))
  rmSync(join(store, 'policies', `${digest}.json`))
  const lost = await report()
  const second = countOf(
    samples,
    ({ offset, transaction: { card } }) => offset >= BLOCK_ROWS && card === cards[1],
  )
  strictEqual(heldOf(lost), second)
  const first = countOf(samples, ({ offset }) => offset < BLOCK_ROWS)
  const said = lost.warnings.join('\n')
  ok(said.includes(`stolen was not there yet for ${first} of ${lost.facts.rows}`), said)
  ok(said.includes(`${first} of ${lost.facts.rows} transactions were decided by rulesets`), said)
  ok(said.includes(digest.slice(0, 12)), said)
})
