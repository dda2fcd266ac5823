// One look at what decides on a stream: gathered from the control topic, the store, what partitions have committed, and the
// metrics of scorers.

import { isSluiceError } from '../../../core/errors.ts'
import {
  type Choice,
  NO_DEPLOYMENT,
  sinceWhen,
  type WordSince,
} from '../../../core/control/deployment.ts'
import { breakerKey } from '../../../core/decision/breaker.ts'
import type { ListContent } from '../../../core/policy/policy-lists.ts'
import { modeOfSegment, type Ruleset } from '../../../core/policy/ruleset.ts'
import type { Mode } from '../../../core/wire/records.ts'
import { countMembers } from '../../../platform/kafka/block-topics.ts'
import { readDeployments, type ControlAccess } from '../../../platform/kafka/control-topic.ts'
import { findList } from '../../../platform/policy-store.ts'
import { readBreakers, type PartitionBreaker } from '../../breaker/breaker-status.ts'
import { describeRuleset, type DescribedRuleset } from './described-ruleset.ts'
import { askScorers, type ScorerStatus } from './scorer-status.ts'

const DAY_MS = 86_400_000

export interface StatusList {
  readonly name: string
  /** Null where nobody has filled it. */
  readonly digest: string | null
  /** Null where the store cannot tell. */
  readonly counts: {
    readonly entries: number
    /** By now. */
    readonly ended: number
    readonly endingWithinDay: number
  } | null
  readonly problem: string | null
}

export interface StatusSegment {
  readonly name: string
  readonly mode: Mode
  /** False when it has the mode of the policy. */
  readonly isOwn: boolean
}

export interface PolicyStatus {
  readonly store: string
  readonly active: DescribedRuleset
  /** Since when this policy decides, whatever was changed of lists and modes; null when nobody has said anything. */
  readonly since: WordSince | null
  /** Since when this very version does. */
  readonly changed: WordSince | null
  /** Empty for the built-in policy. */
  readonly segments: readonly StatusSegment[]
  /** Null for none. */
  readonly shadow: { readonly ruleset: DescribedRuleset; readonly since: WordSince | null } | null
  readonly lists: readonly StatusList[]
  readonly breakers: {
    readonly group: string
    readonly resets: number
    /** Parts of the traffic have the names of the policy's segments where they are known. */
    readonly partitions: readonly PartitionBreaker[]
  }
  /** What a rollback goes back to, the nearest first. */
  readonly earlier: readonly DescribedRuleset[]
  readonly scorers: {
    /** Processes in the group of the scorers now. */
    readonly running: number
    readonly asked: readonly ScorerStatus[]
    /** True when nobody said where they are, and the usual place was tried. */
    readonly isGuess: boolean
  }
}

export interface StatusSource {
  readonly access: ControlAccess
  readonly store: string
  readonly group: string
  /** Addresses of metrics pages. */
  readonly scorers: readonly string[]
  readonly isGuess: boolean
  readonly nowMs: number
}

/** @throws SluiceError of Kafka, or SLUICE_USAGE; what the store lacks is part of the answer. */
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
    store,
    active,
    // Versions of one policy are one and the same; what the store lacks is only itself.
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
      // Where none of this stream runs, one at the usual place would be of another.
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
  store: string,
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
  store: string,
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

/** Ends are event times; by the clock is near enough for a look. */
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
