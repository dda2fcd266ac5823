// Goal: committed offsets that do not match the end of the last decision batch stop a partition, unless only lost
// records lie in between. Method: the comparison alone.

import { strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import {
  checkChain,
  isWhereDecided,
} from '../../../../services/scorer/recovery/offset-agreement.ts'

const LAST = { nextOffset: 100, labelNextOffset: 40 }

function compared(committed: number | null, low = 0, labels: number | null = 40): boolean {
  return isWhereDecided(3, LAST, {
    transactions: { topic: 'transactions', committed, low },
    labels: { topic: 'labels', committed: labels, low: 0 },
  })
}

function isLost(text: RegExp): (error: unknown) => boolean {
  return (error) => isSluiceError(error, 'SLUICE_PARTITION_OFFSET_LOST') && text.test(error.message)
}

test('offsets where the last batch ends agree', () => {
  strictEqual(compared(100), true)
  strictEqual(compared(100, 100), true)
})

test('an offset that is missing or behind would decide again', () => {
  throws(() => compared(null), isLost(/has no offset of transactions-3.* reaches to 100.*again/))
  throws(() => compared(99), isLost(/is at offset 99 of transactions-3.*decided again/))
  throws(() => compared(100, 0, null), isLost(/has no offset of labels-3.* reaches to 40/))
  throws(() => compared(100, 0, 39), isLost(/is at offset 39 of labels-3/))
})

test('an offset ahead skips what the log holds, and nothing where the log has lost it', () => {
  throws(() => compared(101), isLost(/is at offset 101 of transactions-3.*would be skipped/))
  throws(() => compared(120, 119), isLost(/would be skipped/))
  strictEqual(compared(120, 120), false)
  throws(() => compared(120, 120, 41), isLost(/labels-3/), 'the other topic is compared, too')
})

test('an offset that was committed with another batch than the last one is lost', () => {
  const place = { topic: 'transactions', committed: 100, low: 0 }
  checkChain(3, place, 'hash-a', 'hash-a')
  throws(
    () => {
      checkChain(3, place, 'hash-a', 'hash-b')
    },
    isLost(/at offset 100 of transactions-3.*another batch \(hash hash-a and not hash-b\)/),
  )
})
