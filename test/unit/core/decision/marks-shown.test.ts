// Goal: a policy that is asked again is shown the marks that it was shown at first, and none that came of its ruling.

import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { GUARD_MARKS } from '../../../../services/core/decision/block-guard.ts'
import { marksShown } from '../../../../services/core/decision/marks-shown.ts'
import { FOLD_MARKS } from '../../../../services/core/features/engine/fold-marks.ts'
import { LAGGING_MARK, POLICY_MARKS } from '../../../../services/core/policy/ruling.ts'
import { CASCADE_MARKS } from '../../../../services/core/scoring/cascade.ts'

test('marks of the fold, of lagging lanes and of the cascade are shown; those of the policy and the guard are not', () => {
  const before = [...FOLD_MARKS, LAGGING_MARK, ...CASCADE_MARKS]
  deepStrictEqual(marksShown([...before, ...POLICY_MARKS, ...GUARD_MARKS]), before)
  strictEqual(marksShown(before), before)
})
