// What the control topic names by a digest: a version, the policy, the lists and the modes that are in force together. A
// decision is a function of the ruleset's digest, the log and the decision's marks.

import { createHash } from 'node:crypto'
import { FieldReader } from '../scoring/field-reader.ts'
import { MODES, type Mode } from '../wire/records.ts'
import { POLICY_LIMITS } from './policy-document.ts'
import { corruptPolicy } from './policy-lists.ts'

export interface Ruleset {
  /** Counts up with every change; 0 is the built-in one, which has no document. */
  readonly version: number
  /** SHA-256 of the policy's YAML text; null is the built-in policy. */
  readonly policy: string | null
  /** Of transactions in no segment with a mode of its own. */
  readonly mode: Mode
  readonly segmentModes: Readonly<Record<string, Mode>>
  /** List names to SHA-256 of their texts. */
  readonly lists: Readonly<Record<string, string>>
  /** How often people have reset the breakers. */
  readonly breakerResets: number
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
    throw corruptPolicy('the ruleset is no JSON', error)
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
    breakerResets: fields.integer('breakerResets'),
  }
  fields.end()
  return ruleset
}

/** The text of a ruleset, the same for the same content. */
export function rulesetText(ruleset: Ruleset): string {
  const { version, policy, mode, segmentModes, lists, breakerResets } = ruleset
  return `${JSON.stringify({
    format: FORMAT,
    version,
    policy,
    mode,
    segmentModes: sorted(segmentModes),
    lists: sorted(lists),
    breakerResets,
  })}\n`
}

/** SHA-256 of a text, hex: the name of policies, lists and rulesets. */
export function textDigest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** The mode of a segment; null is no segment. */
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
