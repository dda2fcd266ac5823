import { deepStrictEqual, match, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import {
  filterOf,
  positionOption,
  reasonsOption,
} from '../../../../services/cli/commands/dead-letters.ts'
import { momentOption } from '../../../../services/cli/commands/stream-options.ts'
import { EVERY_LETTER } from '../../../../services/cli/dead-letters/read-letters.ts'
import { isSluiceError } from '../../../../services/core/errors.ts'

const NOW_MS = 1_700_000_000_000

test('without options every letter is chosen', () => {
  deepStrictEqual(filterOf({}, 'pilot.', NOW_MS), EVERY_LETTER)
})

test('times are points or lie so long ago, and topics get the prefix', () => {
  const filter = filterOf(
    { since: momentOption('2h'), until: momentOption('2023-11-14T22:00Z'), topic: 'labels' },
    'pilot.',
    NOW_MS,
  )
  strictEqual(filter.sinceMs, NOW_MS - 7_200_000)
  strictEqual(filter.untilMs, Date.UTC(2023, 10, 14, 22))
  strictEqual(filter.topic, 'pilot.labels')
})

test('one offset is one message, from an offset is all that follow', () => {
  const one = filterOf({ offset: 5 }, '', NOW_MS)
  deepStrictEqual([one.offsetMin, one.offsetMax], [5, 5])
  const many = filterOf({ fromOffset: 5 }, '', NOW_MS)
  deepStrictEqual([many.offsetMin, many.offsetMax], [5, null])
})

test('options that contradict each other are refused with a remedy', () => {
  throws(
    () => filterOf({ offset: 1, fromOffset: 2 }, '', NOW_MS),
    (error) => isSluiceError(error, 'SLUICE_USAGE') && error.message.includes('one of them'),
  )
  const since = momentOption('1h')
  throws(
    () => filterOf({ since, until: momentOption('2h') }, '', NOW_MS),
    (error) => isSluiceError(error, 'SLUICE_USAGE') && error.message.includes('swap'),
  )
})

test('reasons, times and positions that are none are refused with what is allowed', () => {
  deepStrictEqual(reasonsOption('empty, malformed'), ['empty', 'malformed'])
  throws(() => reasonsOption('empty,nonsense'), /one or more of empty, too_large/)
  throws(() => momentOption('yesterday'), /2h or 7d/)
  throws(() => positionOption('transactions'), /TOPIC\/PARTITION\/OFFSET/)
  match(positionOption('a.b/1/2').topic, /^a\.b$/)
})
