import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  controlOf,
  type Deployment,
  NO_DEPLOYMENT,
  type PositionedDeployment,
  sinceWhen,
} from '../../../../services/core/control/deployment.ts'

const digestOf = (letter: string): string => letter.repeat(64)

/** Messages whose active choices are these letters; `-` is a tombstone. */
function messages(letters: string, firstPosition = 0): readonly PositionedDeployment[] {
  return Array.from(letters).map((letter, index): PositionedDeployment => {
    const position = firstPosition + index
    if (letter === '-')
      return { about: 'policy', deployment: NO_DEPLOYMENT, position, control: null }
    const deployment: Deployment = { ...NO_DEPLOYMENT, active: digestOf(letter) }
    const word = { author: `who ${index}`, reason: `why ${index}`, atMs: 1_000 + index }
    return { about: 'policy', deployment, position, control: controlOf(deployment, word, 'policy') }
  })
}

const active = (letters: string, firstPosition = 0) =>
  sinceWhen(
    messages(letters, firstPosition),
    (deployment) => deployment.active,
    (choice) => choice,
  )

test('what holds, holds since the first of the last messages that ask for it', () => {
  deepStrictEqual(active('abbb'), {
    ...{ author: 'who 1', reason: 'why 1', atMs: 1_001 },
    ...{ position: 1, isFirst: true },
  })
  strictEqual(active('aba')?.position, 2)
  strictEqual(active('')?.position, undefined)
  strictEqual(active('a-'), null)
})

test('where messages before are gone, it is known only since when at the latest', () => {
  strictEqual(active('aa', 0)?.isFirst, true)
  strictEqual(active('aa', 7)?.isFirst, false)
  strictEqual(active('ba', 7)?.isFirst, true)
})

test('choices that are one and the same are not told apart', () => {
  const since = sinceWhen(
    messages('abcd'),
    (deployment) => deployment.active,
    (choice) => (choice === digestOf('a') ? 'one' : 'other'),
  )
  strictEqual(since?.position, 1)
})

test('no message that is left out by compaction makes it seem to be in force for longer', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[ab]{1,12}$/), fc.nat(11), (letters, kept) => {
      const all = active(letters)
      const rest = messages(letters).slice(Math.min(kept, letters.length - 1))
      const some = sinceWhen(
        rest,
        (deployment) => deployment.active,
        (choice) => choice,
      )
      return (some?.atMs ?? 0) >= (all?.atMs ?? Infinity)
    }),
  )
})
