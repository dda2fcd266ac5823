// A ruleset: a version with the policy, lists and modes in force together. The control topic names it by its digest. A
// decision is a function of the ruleset's digest, the log and the decision's annotations.

import { createHash } from 'node:crypto'
import { FieldReader } from '../scoring/field-reader.ts'
import { type Mode, MODES } from '../wire/records.ts'
import { POLICY_LIMITS, type PolicyDocument } from './policy-document.ts'
import { corruptPolicy } from './policy-lists.ts'

export interface Ruleset {
  /** Increases with every change; 0 is the built-in ruleset, which has no document. */
  readonly version: number
  /** SHA-256 of the policy's YAML text; null for the built-in policy. */
  readonly policy: string | null
  /** Mode of transactions in no segment, or in a segment without its own mode. */
  readonly mode: Mode
  readonly segmentModes: Readonly<Record<string, Mode>>
  /** List names to SHA-256 of their texts. */
  readonly lists: Readonly<Record<string, string>>
}

export const RULESET_BYTES_MAX = 65_536

const FORMAT = 1
const VERSION_MAX = 2 ** 31 - 1

/**
 * Reads the text of a ruleset.
 * @throws SluiceError SLUICE_POLICY_CORRUPT
 */
export function readRuleset(text: string): Ruleset {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw corruptPolicy('the ruleset is not JSON', error)
  }
  const fields = new FieldReader(value, 'ruleset', corruptPolicy)
  fields.integer('format', FORMAT, FORMAT)
  const ruleset = {
    version: fields.integer('version', 1, VERSION_MAX),
    policy: fields.isNull('policy') ? null : fields.digest('policy'),
    mode: fields.oneOf('mode', MODES),
    segmentModes: fields.object('segmentModes', (modes) =>
      entriesOf(modes, POLICY_LIMITS.segmentsMax, (name) => modes.oneOf(name, MODES)),
    ),
    lists: fields.object('lists', (lists) =>
      entriesOf(lists, POLICY_LIMITS.listsMax, (name) => lists.digest(name)),
    ),
  }
  fields.end()
  return ruleset
}

/** The text of a ruleset; equal content gives equal text. */
export function rulesetText(ruleset: Ruleset): string {
  const { version, policy, mode, segmentModes, lists } = ruleset
  return `${JSON.stringify({
    format: FORMAT,
    version,
    policy,
    mode,
    segmentModes: sorted(segmentModes),
    lists: sorted(lists),
  })}\n`
}

/** SHA-256 of a text, hex; identifies policies, lists and rulesets. */
export function textDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** The mode of a segment; null for no segment. */
export function modeOfSegment(
  { mode, segmentModes }: Pick<Ruleset, 'mode' | 'segmentModes'>,
  segment: string | null,
): Mode {
  return segment === null ? mode : (segmentModes[segment] ?? mode)
}

function entriesOf<Value>(
  fields: FieldReader,
  countMax: number,
  read: (name: string) => Value,
): Readonly<Record<string, Value>> {
  const { names } = fields
  if (names.length > countMax) throw corruptPolicy(`the ruleset has more than ${countMax} entries`)
  return Object.fromEntries(names.map((name) => [name, read(name)]))
}

function sorted<Value>(record: Readonly<Record<string, Value>>): Readonly<Record<string, Value>> {
  return Object.fromEntries(Object.entries(record).toSorted(([a], [b]) => (a < b ? -1 : 1)))
}

// Changes: each one creates a ruleset with a higher version.

/** A policy and the digest of its text. */
export interface NamedPolicy {
  readonly digest: string
  readonly document: Pick<PolicyDocument, 'name' | 'segments'>
}

/**
 * The ruleset with another policy. A new version of the policy in force keeps its modes; any other policy starts in
 * `startMode`. Lists stay.
 */
export function withPolicy(
  inForce: Ruleset | null,
  nameInForce: string | null,
  { digest, document }: NamedPolicy,
  startMode: Mode,
  version: number,
): Ruleset {
  const isNewVersion = inForce !== null && nameInForce === document.name
  const segments = new Set(document.segments.map(({ name }) => name))
  return {
    version,
    policy: digest,
    mode: isNewVersion ? inForce.mode : startMode,
    segmentModes: isNewVersion
      ? Object.fromEntries(
          Object.entries(inForce.segmentModes).filter(([name]) => segments.has(name)),
        )
      : {},
    lists: inForce?.lists ?? {},
  }
}

/** The policy and modes of an earlier ruleset with the current lists. */
export function withEarlier(inForce: Ruleset | null, earlier: Ruleset, version: number): Ruleset {
  return {
    version,
    policy: earlier.policy,
    mode: earlier.mode,
    segmentModes: earlier.segmentModes,
    lists: inForce?.lists ?? earlier.lists,
  }
}

/** The ruleset with new content of one list. */
export function withListDigest(
  inForce: Ruleset,
  list: string,
  digest: string,
  version: number,
): Ruleset {
  return { ...inForce, version, lists: { ...inForce.lists, [list]: digest } }
}

/** The ruleset with another mode of a segment; null for all traffic without a segment mode of its own. */
export function withMode(
  inForce: Ruleset,
  segment: string | null,
  mode: Mode,
  version: number,
): Ruleset {
  return segment === null
    ? { ...inForce, version, mode }
    : { ...inForce, version, segmentModes: { ...inForce.segmentModes, [segment]: mode } }
}

/** The objection to a change of mode, in words; null for none. Modes climb one step at a time and may fall any number. */
export function stepProblem(inForce: Ruleset, segment: string | null, to: Mode): string | null {
  const from = modeOfSegment(inForce, segment)
  const climb = MODES.indexOf(to) - MODES.indexOf(from)
  if (climb === 0) return `it is in mode ${from} already`
  if (climb > 1)
    return `it is in mode ${from}, and modes climb one step at a time: next is ${MODES[1]}`
  return null
}

/** True when the change gives the policy a stricter mode. */
export function isClimb(inForce: Ruleset, segment: string | null, to: Mode): boolean {
  return MODES.indexOf(to) > MODES.indexOf(modeOfSegment(inForce, segment))
}
