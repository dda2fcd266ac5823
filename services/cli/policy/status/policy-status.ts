// One look at what decides on a stream: gathered from the control topic, the store, what lanes have committed, and the
// metrics of scorers.

import { isSluiceError } from '../../../core/errors.ts'
import { sinceWhen, type WordSince } from '../../../core/control/wish-history.ts'
import { NO_WISH, type Choice } from '../../../core/control/wish.ts'
import { breakerKey } from '../../../core/decision/breaker.ts'
import type { ListContent } from '../../../core/policy/policy-lists.ts'
import { modeOfSegment, type Ruleset } from '../../../core/policy/ruleset.ts'
import type { Mode } from '../../../core/wire/records.ts'
import { countMembers } from '../../../platform/kafka/block-topics.ts'
import { readWishes, type ControlAccess } from '../../../platform/kafka/control-topic.ts'
import { findList } from '../../../platform/policy-store.ts'
import { readBreakers, type LaneBreaker } from '../../breaker/breaker-standings.ts'
import { describeRuleset, type DescribedRuleset } from './described-ruleset.ts'
import { askScorers, type ScorerStanding } from './scorer-standings.ts'

const DAY_MS = 86_400_000

export interface StandingList {
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

export interface StandingSegment {
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
  readonly segments: readonly StandingSegment[]
  /** Null for none. */
  readonly shadow: { readonly ruleset: DescribedRuleset; readonly since: WordSince | null } | null
  readonly lists: readonly StandingList[]
  readonly breakers: {
    readonly group: string
    readonly resets: number
    /** Parts of the traffic have the names of the policy's segments where they are known. */
    readonly lanes: readonly LaneBreaker[]
  }
  /** What a rollback goes back to, the nearest first. */
  readonly earlier: readonly DescribedRuleset[]
  readonly scorers: {
    /** Processes in the group of the scorers now. */
    readonly running: number
    readonly asked: readonly ScorerStanding[]
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
  const wishes = await readWishes(access, 'policy')
  const wish = wishes.at(-1)?.wish ?? NO_WISH
  const described = new Map<Choice, DescribedRuleset>()
  const describe = async (digest: Choice): Promise<DescribedRuleset> => {
    const one = described.get(digest) ?? (await describeRuleset(store, digest))
    described.set(digest, one)
    return one
  }
  for (const placed of wishes) await describe(placed.wish.active)
  const active = await describe(wish.active)
  const { resets, lanes } = await readBreakers(access, group)
  const running = await countMembers(access, group)
  const earlier: DescribedRuleset[] = []
  for (const digest of wish.earlier) earlier.push(await describe(digest))
  return {
    store,
    active,
    // Versions of one policy are one and the same; what the store lacks is only itself.
    since: sinceWhen(
      wishes,
      (of) => of.active,
      (choice) => described.get(choice)?.ruleset?.policy ?? choice,
    ),
    changed: sinceWhen(wishes, (of) => of.active, itself),
    segments: segmentsOf(active),
    shadow:
      wish.shadow === null
        ? null
        : {
            ruleset: await describe(wish.shadow),
            since: sinceWhen(wishes, (of) => of.shadow, itself),
          },
    lists: await listsOf(active, store, nowMs),
    breakers: { group, resets, lanes: named(lanes, active) },
    earlier,
    scorers: {
      running,
      // Where none of this stream runs, one at the usual place would be of another.
      asked: isGuess && running === 0 ? [] : await askScorers(source.scorers, wish.active),
      isGuess,
    },
  }
}

function itself(choice: Choice): Choice {
  return choice
}

function segmentsOf({ ruleset, document }: DescribedRuleset): readonly StandingSegment[] {
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
): Promise<readonly StandingList[]> {
  if (ruleset === null) return []
  const names = new Set([
    ...(document?.lists.map(({ name }) => name) ?? []),
    ...Object.keys(ruleset.lists),
  ])
  const lists: StandingList[] = []
  for (const name of names) lists.push(await listOf(name, ruleset, store, nowMs))
  return lists
}

async function listOf(
  name: string,
  { lists }: Ruleset,
  store: string,
  nowMs: number,
): Promise<StandingList> {
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
function countsOf({ entries }: ListContent, nowMs: number): NonNullable<StandingList['counts']> {
  const ends = entries.map(({ endMs }) => endMs ?? Infinity)
  const ended = ends.filter((endMs) => endMs <= nowMs).length
  const endingWithinDay = ends.filter((endMs) => endMs > nowMs && endMs <= nowMs + DAY_MS).length
  return { entries: entries.length, ended, endingWithinDay }
}

function named(
  lanes: readonly LaneBreaker[],
  { document }: DescribedRuleset,
): readonly LaneBreaker[] {
  const names = new Map(document?.segments.map(({ name }) => [breakerKey(name), name]))
  return lanes.map((lane) => ({ ...lane, part: names.get(lane.part) ?? lane.part }))
}
