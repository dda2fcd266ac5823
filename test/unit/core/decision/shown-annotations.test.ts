// Goal: a policy that rules again sees the annotations of the first time, and none from its ruling.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { GUARD_ANNOTATIONS } from '../../../../services/core/decision/block-guard.ts'
import { shownAnnotations } from '../../../../services/core/decision/shown-annotations.ts'
import { FEATURE_ANNOTATIONS } from '../../../../services/core/features/engine/feature-annotations.ts'
import { LAGGING_MARK, POLICY_ANNOTATIONS } from '../../../../services/core/policy/ruling.ts'
import { CASCADE_ANNOTATIONS } from '../../../../services/core/scoring/cascade.ts'

test('annotations of the fold, of lagging partitions and of the cascade are shown; those of the policy and the guard are not', () => {
  const before = [...FEATURE_ANNOTATIONS, LAGGING_MARK, ...CASCADE_ANNOTATIONS]
  deepStrictEqual(
    shownAnnotations([...before, ...POLICY_ANNOTATIONS, ...GUARD_ANNOTATIONS]),
    before,
  )
  strictEqual(shownAnnotations(before), before)
})
