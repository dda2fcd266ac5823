// Gathers the status of the policy of a stream from the control topic, the store, the commits of partitions, and the
// metrics of scorers.

import { type OverrideSince, sinceWhen } from '../../core/control/deployment.ts'
import { type Choice, NO_DEPLOYMENT } from '../../core/control/deployment.ts'
import { breakerKey } from '../../core/decision/breaker.ts'
import { isSluiceError } from '../../core/errors.ts'
import type { PolicyDocument } from '../../core/policy/policy-document.ts'
import type { ListContent } from '../../core/policy/policy-lists.ts'
import { parsePolicy } from '../../core/policy/policy-parsing.ts'
import { type Ruleset, modeOfSegment } from '../../core/policy/ruleset.ts'
import type { Mode } from '../../core/wire/records.ts'
import { countMembers } from '../../platform/kafka/block-topics.ts'
import { type ControlAccess, readDeployments } from '../../platform/kafka/control-topic.ts'
import { findList, findPolicyText, findRuleset } from '../../platform/policy-store.ts'
import type { ContentStore } from '../../platform/stores/content-store.ts'
import { type PartitionBreaker, readBreakers } from '../commands/breaker.ts'
import { fetchMetricsPage, metricsUrl, seriesOf } from '../metrics-page.ts'
import { tableLine, tableLines } from '../table.ts'

const DAY_MS = 86_400_000

interface StatusList {
  readonly name: string
  /** Null when nobody has filled the list. */
  readonly digest: string | null
  /** Null when the store does not hold it. */
  readonly counts: {
    readonly entries: number
    /** Entries that have ended by now. */
    readonly ended: number
    readonly endingWithinDay: number
  } | null
  readonly problem: string | null
}

interface StatusSegment {
  readonly name: string
  readonly mode: Mode
  /** False when it inherits the mode of the policy. */
  readonly isOwn: boolean
}

export interface PolicyStatus {
  readonly store: string
  readonly active: DescribedRuleset
  /** Time since which this policy decides, regardless of changes to lists and modes; null when it was never applied. */
  readonly since: OverrideSince | null
  /** Time since which this very version decides. */
  readonly changed: OverrideSince | null
  /** Empty for the built-in policy. */
  readonly segments: readonly StatusSegment[]
  /** Null when there is no shadow. */
  readonly shadow: {
    readonly ruleset: DescribedRuleset
    readonly since: OverrideSince | null
  } | null
  readonly lists: readonly StatusList[]
  readonly breakers: {
    readonly group: string
    readonly resets: number
    /** Breakers of segments have the segment's name where it is known. */
    readonly partitions: readonly PartitionBreaker[]
  }
  /** Rulesets that a rollback returns to, nearest first. */
  readonly earlier: readonly DescribedRuleset[]
  readonly scorers: {
    /** Current number of processes in the scorers' consumer group. */
    readonly running: number
    readonly asked: readonly ScorerStatus[]
    /** True when no address was given and the default one was tried. */
    readonly isGuess: boolean
  }
}

interface StatusSource {
  readonly access: ControlAccess
  readonly store: ContentStore
  readonly group: string
  /** Addresses of metrics pages. */
  readonly scorers: readonly string[]
  readonly isGuess: boolean
  readonly nowMs: number
}

/** @throws SluiceError of Kafka, or SLUICE_USAGE. Gaps of the store are reported in the answer. */
export async function gatherStatus(source: StatusSource): Promise<PolicyStatus> {
  const { access, store, group, nowMs, isGuess } = source
  const deployments = await readDeployments(access, 'policy')
  const deployment = deployments.at(-1)?.deployment ?? NO_DEPLOYMENT
  const described = new Map<Choice, DescribedRuleset>()
  const describe = async (digest: Choice): Promise<DescribedRuleset> => {
    const one = described.get(digest) ?? (await describeRuleset(store, digest))
    described.set(digest, one)
    return one
  }
  for (const placed of deployments) await describe(placed.deployment.active)
  const active = await describe(deployment.active)
  const { resets, partitions } = await readBreakers(access, group)
  const running = await countMembers(access, group)
  const earlier: DescribedRuleset[] = []
  for (const digest of deployment.earlier) earlier.push(await describe(digest))
  return {
    store: store.place,
    active,
    // Versions with the same policy count as one; a ruleset missing from the store counts as itself.
    since: sinceWhen(
      deployments,
      (of) => of.active,
      (choice) => described.get(choice)?.ruleset?.policy ?? choice,
    ),
    changed: sinceWhen(deployments, (of) => of.active, itself),
    segments: segmentsOf(active),
    shadow:
      deployment.shadow === null
        ? null
        : {
            ruleset: await describe(deployment.shadow),
            since: sinceWhen(deployments, (of) => of.shadow, itself),
          },
    lists: await listsOf(active, store, nowMs),
    breakers: { group, resets, partitions: named(partitions, active) },
    earlier,
    scorers: {
      running,
      // When no scorer of this stream runs, one at the default address would belong to another stream.
      asked: isGuess && running === 0 ? [] : await askScorers(source.scorers, deployment.active),
      isGuess,
    },
  }
}

function itself(choice: Choice): Choice {
  return choice
}

function segmentsOf({ ruleset, document }: DescribedRuleset): readonly StatusSegment[] {
  if (ruleset === null || document === null) return []
  return document.segments.map(({ name }) => ({
    name,
    mode: modeOfSegment(ruleset, name),
    isOwn: name in ruleset.segmentModes,
  }))
}

async function listsOf(
  { ruleset, document }: DescribedRuleset,
  store: ContentStore,
  nowMs: number,
): Promise<readonly StatusList[]> {
  if (ruleset === null) return []
  const names = new Set([
    ...(document?.lists.map(({ name }) => name) ?? []),
    ...Object.keys(ruleset.lists),
  ])
  const lists: StatusList[] = []
  for (const name of names) lists.push(await listOf(name, ruleset, store, nowMs))
  return lists
}

async function listOf(
  name: string,
  { lists }: Ruleset,
  store: ContentStore,
  nowMs: number,
): Promise<StatusList> {
  const digest = lists[name] ?? null
  const empty = { name, entries: [] }
  try {
    const content = digest === null ? empty : await findList(store, digest)
    return { name, digest, counts: countsOf(content, nowMs), problem: null }
  } catch (error) {
    if (!isSluiceError(error)) throw error
    return { name, digest, counts: null, problem: error.message }
  }
}

/** Ends are event times; comparing them with the clock is close enough for a status. */
function countsOf({ entries }: ListContent, nowMs: number): NonNullable<StatusList['counts']> {
  const ends = entries.map(({ endMs }) => endMs ?? Infinity)
  const ended = ends.filter((endMs) => endMs <= nowMs).length
  const endingWithinDay = ends.filter((endMs) => endMs > nowMs && endMs <= nowMs + DAY_MS).length
  return { entries: entries.length, ended, endingWithinDay }
}

function named(
  partitions: readonly PartitionBreaker[],
  { document }: DescribedRuleset,
): readonly PartitionBreaker[] {
  const names = new Map(document?.segments.map(({ name }) => [breakerKey(name), name]))
  return partitions.map((partition) => ({
    ...partition,
    part: names.get(partition.part) ?? partition.part,
  }))
}

// Describes a ruleset: its version, the name of its policy, its modes. A gap in the store is reported in its place and
// does not end the command.

export interface DescribedRuleset {
  /** Null is the built-in policy. */
  readonly digest: Choice
  /** Null for the built-in policy, and when the store does not hold it. */
  readonly ruleset: Ruleset | null
  readonly document: PolicyDocument | null
  /** The reason for which it is unknown, and the remedy; null when nothing is wrong. */
  readonly problem: string | null
}

const BUILT_IN: DescribedRuleset = { digest: null, ruleset: null, document: null, problem: null }

/** Never fails because of missing or damaged files in the store. */
async function describeRuleset(store: ContentStore, digest: Choice): Promise<DescribedRuleset> {
  if (digest === null) return BUILT_IN
  let ruleset: Ruleset | null = null
  try {
    ruleset = await findRuleset(store, digest)
    if (ruleset.policy === null) return { digest, ruleset, document: null, problem: null }
    const parsed = parsePolicy(await findPolicyText(store, ruleset.policy))
    if (parsed.ok) return { digest, ruleset, document: parsed.policy, problem: null }
    const problem = `The policy ${ruleset.policy} is not accepted by this build. Use the build that applied it.`
    return { digest, ruleset, document: null, problem }
  } catch (error) {
    if (!isSluiceError(error)) throw error
    return { digest, ruleset, document: null, problem: error.message }
  }
}

// Reports whether running scorers serve the requested policy, according to their metrics.

/**
 * Closed list. `serves`: the requested policy. `serves_another`: not yet, or of another stream. `refuses`: it cannot
 * read the requested policy. `no_scorer`: another program answers there. `unreachable`: nothing answers.
 */
type ScorerVerdict = 'serves' | 'serves_another' | 'refuses' | 'no_scorer' | 'unreachable'

interface ScorerStatus {
  /** URL of its metrics page. */
  readonly url: string
  readonly verdict: ScorerVerdict
  /** Version of the ruleset that it serves; 0 is the built-in policy. Null when it is not known. */
  readonly version: number | null
  readonly digest: string | null
  /** Mode that it reports; for the built-in policy this is the only source. */
  readonly mode: string | null
  readonly partitions: number | null
  /** The reason for which it refuses or cannot be reached; null when nothing is wrong. */
  readonly problem: string | null
}

const UNKNOWN = { version: null, digest: null, mode: null, partitions: null } as const

/**
 * Asks each scorer; one that cannot be reached has a status too. @throws SluiceError SLUICE_USAGE for an invalid
 * address.
 */
function askScorers(
  addresses: readonly string[],
  active: Choice,
): Promise<readonly ScorerStatus[]> {
  return Promise.all(addresses.map((address) => askScorer(metricsUrl(address), active)))
}

async function askScorer(url: string, active: Choice): Promise<ScorerStatus> {
  try {
    return statusOn(url, await fetchMetricsPage(url, 'a running scorer'), active)
  } catch (error) {
    if (!isSluiceError(error)) throw error
    const { problem } = error.details
    return { url, verdict: 'unreachable', ...UNKNOWN, problem: String(problem) }
  }
}

/** Reads the status from a metrics page. */
export function statusOn(url: string, page: string, active: Choice): ScorerStatus {
  const byRole = (name: string, role: string) =>
    seriesOf(page, name).filter(({ labels }) => labels['role'] === role)
  const [versions] = byRole('sluice_policy_version', 'active')
  const [info] = seriesOf(page, 'sluice_policy_info')
  if (versions === undefined || info === undefined) {
    return { url, verdict: 'no_scorer', ...UNKNOWN, problem: 'no scorer answers there' }
  }
  const [partitions] = seriesOf(page, 'sluice_partitions_assigned')
  const refused = byRole('sluice_policy_refused', 'active').find(({ value }) => value === 1)
  const digest = info.labels['policy_digest'] ?? null
  const isServed = active === null ? versions.value === 0 : digest === active
  return {
    url,
    verdict: isServed ? 'serves' : refused === undefined ? 'serves_another' : 'refuses',
    version: versions.value,
    digest,
    mode: info.labels['mode'] ?? null,
    partitions: partitions?.value ?? null,
    problem: refused === undefined || isServed ? null : (refused.labels['reason'] ?? 'unknown'),
  }
}

// The status as a few lines for people; faults and unknown values are reported in their place.

const HEADING = 8
const DIGEST_CHARACTERS = 12
/** Characters of a reason on a line; --json shows it in full. */
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
  // A default address where no scorer answers is not reported.
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

function sinceText({ author, reason, atMs, isFirst }: OverrideSince): string {
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

/** Removes control characters, since reasons and names are free text. */
function safe(line: string): string {
  return line.replaceAll(/\p{Cc}/gu, '?')
}

// The status as JSON.

/** Times are in ISO 8601; null means not known, or none. */
export function statusJson(status: PolicyStatus): object {
  const { store, active, since, changed, segments, shadow, lists, breakers, earlier, scorers } =
    status
  return {
    store,
    active: {
      ...rulesetJson(active),
      since: sinceJson(since),
      versionSince: sinceJson(changed),
      segments,
    },
    shadow:
      shadow === null ? null : { ...rulesetJson(shadow.ruleset), since: sinceJson(shadow.since) },
    lists: lists.map(({ counts, ...list }) => ({
      ...list,
      entries: counts?.entries ?? null,
      ended: counts?.ended ?? null,
      endingWithinDay: counts?.endingWithinDay ?? null,
    })),
    breakers: { ...breakers, open: breakers.partitions.filter(({ isOpen }) => isOpen).length },
    rollback: earlier.map(rulesetJson),
    scorers,
  }
}

function rulesetJson({ digest, ruleset, document, problem }: DescribedRuleset): object {
  return {
    digest,
    isBuiltIn: digest === null,
    version: digest === null ? 0 : (ruleset?.version ?? null),
    name: document?.name ?? null,
    policy: ruleset?.policy ?? null,
    mode: ruleset?.mode ?? null,
    problem,
  }
}

function sinceJson(since: OverrideSince | null): object | null {
  if (since === null) return null
  const { author, reason, atMs, position, isFirst } = since
  return { time: new Date(atMs).toISOString(), isExact: isFirst, author, reason, position }
}
