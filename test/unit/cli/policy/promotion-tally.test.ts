import { strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { isPromoted } from '../../../../services/cli/policy/promotion-evidence.ts'
import type { Ruleset } from '../../../../services/core/policy/ruleset.ts'

const RULESET: Pick<Ruleset, 'segmentModes'> = { segmentModes: { online: 'flag' } }

test('a step is judged by the traffic that it changes, and by no other', () => {
  const cases: readonly (readonly [string | null, string | null, boolean])[] = [
    // Without a segment: all segments without a mode of their own.
    [null, null, true],
    [null, 'abroad', true],
    [null, 'online', false],
    [null, 'constructor', true],
    ['online', 'online', true],
    ['online', 'abroad', false],
    ['online', null, false],
  ]
  for (const [segment, own, expected] of cases) {
    strictEqual(isPromoted(RULESET, segment, own), expected, `${segment} ${own}`)
  }
})
