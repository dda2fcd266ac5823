// Words that a value can have. A comparison with any other is never met, and nothing says so when it runs: most often
// it is a slip of the pen, so whoever writes a policy is told. Stored policies are read as they are: a word may go out of
// use, and what was decided by it is replayed.

import type { ASTNode } from '@marcbachmann/cel-js'
import { FEATURE_NAMES } from '../features/catalogue/feature-list.ts'
import { FEATURE_STATES } from '../features/engine/feature-states.ts'
import { FOLD_MARKS } from '../features/engine/fold-marks.ts'
import { CASCADE_MARKS } from '../scoring/cascade.ts'
import { AUTHORISATIONS, CHANNELS, ENTRY_MODES } from '../transaction.ts'
import { pathOf } from './condition-views.ts'
import { nearest } from './nearest.ts'
import { LAGGING_MARK } from './ruling.ts'

/** By the text that stands for the value in a condition. */
const WORDS: ReadonlyMap<string, readonly string[]> = new Map<string, readonly string[]>([
  ['transaction.channel', CHANNELS],
  ['transaction.entryMode', ENTRY_MODES],
  ['transaction.authorisation', AUTHORISATIONS],
  ['marks', [...FOLD_MARKS, ...CASCADE_MARKS, LAGGING_MARK]],
  ...FEATURE_NAMES.map((name) => [`freshness.${name}`, FEATURE_STATES] as const),
])

export interface ImpossibleWord {
  readonly node: ASTNode
  readonly message: string
}

/** Words in a comparison, or in a list beside `in`, that the value on the other side never has. */
export function impossibleWords(
  comparison: Extract<ASTNode, { op: '==' | '!=' | 'in' }>,
): readonly ImpossibleWord[] {
  const [left, right] = comparison.args
  return [...unknownTo(left, right), ...unknownTo(right, left)]
}

function unknownTo(value: ASTNode, other: ASTNode): readonly ImpossibleWord[] {
  const name = (value.op === 'id' ? value.args : pathOf(value)) ?? ''
  const words = WORDS.get(name)
  if (words === undefined) return []
  const written = other.op === 'list' ? other.args : [other]
  return written.flatMap((node) => {
    if (node.op !== 'value' || typeof node.args !== 'string' || words.includes(node.args)) return []
    const near = nearest(node.args, words)
    const hint = near === null ? `has ${words.join(', ')}` : `did you mean "${near}"?`
    const verb = name === 'marks' ? 'never has' : 'is never'
    return [{ node, message: `${name} ${verb} "${node.args}"; ${hint}` }]
  })
}
