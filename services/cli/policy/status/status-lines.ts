// What decides, as a person reads it: one short block, what is wrong or unknown in it said at its place.

import type { WordSince } from '../../../core/control/deployment.ts'
import { tableLine, tableLines } from '../../table.ts'
import type { DescribedRuleset } from './described-ruleset.ts'
import type { PolicyStatus, StatusList } from './policy-status.ts'
import type { ScorerStatus } from './scorer-status.ts'

const HEADING = 8
const DIGEST_CHARACTERS = 12
/** Characters of a reason on a line; --json has all of it. */
const REASON_CHARACTERS_MAX = 80
const EARLIER_SHOWN = 5

/** All lines. */
export function statusLines(status: PolicyStatus): readonly string[] {
  return [
    ...block('policy', policyLines(status)),
    ...block('modes', [modesText(status)]),
    ...block('shadow', shadowLines(status)),
    ...block('lists', status.lists.length === 0 ? ['none'] : listLines(status.lists)),
    ...block('breakers', breakerLines(status)),
    ...block('rollback', rollbackLines(status)),
    ...block('scorers', scorerLines(status)),
  ].map(safe)
}

function block(heading: string, lines: readonly string[]): readonly string[] {
  return lines.map((line, index) =>
    tableLine([index === 0 ? heading : '', line], { widths: [HEADING] }),
  )
}

function policyLines({ active, since, changed }: PolicyStatus): readonly string[] {
  const isSame = since?.position === changed?.position
  return [
    rulesetText(active),
    ...(since === null ? [] : [`since ${sinceText(since)}`]),
    ...(changed === null || isSame ? [] : [`this version since ${sinceText(changed)}`]),
    ...problemLines(active.problem),
  ]
}

function modesText({ active, segments, scorers }: PolicyStatus): string {
  if (active.ruleset !== null) {
    const own = segments.map(({ name, mode, isOwn }) =>
      isOwn ? `${name} ${mode}` : `${name} ${mode} (of the policy)`,
    )
    return [active.ruleset.mode, ...own].join(', ')
  }
  if (active.digest !== null) return 'not known: the store does not have the ruleset'
  const modes = new Set(
    scorers.asked.flatMap(({ mode, verdict }) =>
      mode !== null && verdict === 'serves' ? [mode] : [],
    ),
  )
  return modes.size === 0
    ? 'SLUICE_MODE of each scorer: not known here'
    : `${[...modes].join(', ')} (SLUICE_MODE of the scorers)`
}

function shadowLines({ shadow }: PolicyStatus): readonly string[] {
  if (shadow === null) return ['none']
  const { ruleset, since } = shadow
  return [
    rulesetText(ruleset),
    ...(since === null ? [] : [`since ${sinceText(since)}`]),
    ...problemLines(ruleset.problem),
  ]
}

function listLines(lists: readonly StatusList[]): readonly string[] {
  const rows = lists.flatMap(({ name, digest, counts, problem }) => {
    if (counts === null) return [[name, 'not known'], problemLines(problem)]
    const { entries, ended, endingWithinDay } = counts
    const parts = [
      counted(entries, 'entry', 'entries'),
      ...(endingWithinDay === 0 ? [] : [`${endingWithinDay} end within a day`]),
      ...(ended === 0 ? [] : [`${ended} have ended`]),
    ]
    return [[name, digest === null ? 'never filled' : parts.join(', ')]]
  })
  return tableLines(rows)
}

function breakerLines({ breakers }: PolicyStatus): readonly string[] {
  const { partitions, group } = breakers
  if (partitions.length === 0)
    return [`not known: no partition of group ${group} has committed one yet`]
  const open = partitions.filter(({ isOpen }) => isOpen)
  const blocks = partitions
    .filter(({ part }) => part === 'all')
    .reduce((sum, { blocksInMinute }) => sum + blocksInMinute, 0)
  const of = counted(
    new Set(partitions.map(({ partition }) => partition)).size,
    'partition',
    'partitions',
  )
  if (open.length === 0) return [`all closed in ${of}, ${blocks} blocks in their last minutes`]
  return [
    ...open.map(
      ({ partition, part }) => `partition ${partition}  ${part}  TRIPPED: blocks are flags`,
    ),
    `the other ${partitions.length - open.length} of ${of} are closed; "sluice breaker reset" closes all`,
  ]
}

function rollbackLines({ earlier }: PolicyStatus): readonly string[] {
  if (earlier.length === 0) return ['nothing to go back to']
  const shown = earlier.slice(0, EARLIER_SHOWN).map((one) => {
    const mode = one.ruleset === null ? '' : `, ${one.ruleset.mode}`
    const lost = one.problem === null ? '' : ': NOT in the store'
    return `${rulesetText(one)}${mode}${lost}`
  })
  const more = earlier.length - shown.length
  return more > 0 ? [...shown, `and ${more} before`] : shown
}

function scorerLines({ scorers, active }: PolicyStatus): readonly string[] {
  const { running, asked, isGuess } = scorers
  const answered = asked.filter(
    ({ verdict }) => verdict !== 'unreachable' && verdict !== 'no_scorer',
  )
  // A usual place where nobody is says nothing.
  const told = isGuess ? answered : asked
  const rest = running - answered.length
  const lines = told.map((one) => scorerText(one, active))
  if (running === 0 && told.length === 0) return ['none runs']
  if (rest <= 0) return lines
  return [
    ...lines,
    `${rest} of ${counted(running, 'scorer', 'scorers')} not known: give the address of each metrics page with --scorer`,
  ]
}

function scorerText(
  { url, verdict, version, problem }: ScorerStatus,
  { ruleset }: DescribedRuleset,
): string {
  const place = new URL(url).host
  const served = version === 0 ? 'the built-in policy' : `version ${version ?? '?'}`
  const asked = ruleset === null ? '' : `, not version ${ruleset.version}`
  switch (verdict) {
    case 'serves':
      return `${place}  serves it (${served})`
    case 'serves_another':
      return `${place}  SERVES ANOTHER: ${served}${asked}; not switched yet, or of another stream`
    case 'refuses':
      return `${place}  REFUSES it (${problem ?? ''}) and serves ${served}; see SluicePolicyRefused in docs/runbook.md`
    case 'no_scorer':
    case 'unreachable':
      return `${place}  not known: ${problem ?? ''}`
  }
}

function rulesetText({ digest, ruleset, document }: DescribedRuleset): string {
  if (digest === null) return 'built-in'
  const short = digest.slice(0, DIGEST_CHARACTERS)
  if (ruleset === null) return short
  const name = document?.name ?? (ruleset.policy === null ? 'built-in' : 'unknown')
  return `${name}, version ${ruleset.version} (${short})`
}

function sinceText({ author, reason, atMs, isFirst }: WordSince): string {
  const time = `${new Date(atMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`
  const shown =
    reason.length > REASON_CHARACTERS_MAX
      ? `${reason.slice(0, REASON_CHARACTERS_MAX - 3)}...`
      : reason
  return `${time}${isFirst ? '' : ' or before'} by ${author}: ${shown}`
}

function problemLines(problem: string | null): readonly string[] {
  return problem === null ? [] : [`!! ${problem}`]
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`
}

/** Reasons and names are written by people: no control characters reach the terminal. */
function safe(line: string): string {
  return line.replaceAll(/\p{Cc}/gu, '?')
}
