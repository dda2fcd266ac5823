import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  DeliveryWindow,
  type WindowEntry,
} from '../../../../services/alerts/forward/delivery-schedule.ts'

test('a message waits for those of its card before it, and for no others', () => {
  const window = new DeliveryWindow<string>(5)
  const block = window.add(5, 'a', 'block')
  strictEqual(window.add(6, 'a', 'release'), null)
  const other = window.add(7, 'b', 'flag')
  ok(block !== null && other !== null)
  strictEqual(window.done(other), null)
  strictEqual(window.nextOffset, 5)
  const release = window.done(block)
  strictEqual(release?.item, 'release')
  strictEqual(window.nextOffset, 6)
  strictEqual(window.done(release), null)
  strictEqual(window.nextOffset, 8)
  strictEqual(window.size, 0)
})

test('nothing is done twice, or before its turn', () => {
  const window = new DeliveryWindow<string>(0)
  const first = window.add(0, 'a', 'x')
  ok(first !== null)
  window.add(1, 'a', 'y')
  throws(() => window.done({ offset: 1, card: 'a', item: 'y' }))
  window.done(first)
  throws(() => window.done(first))
})

// Goal: for any stream and any order of completion, cards are in order, and the offset to commit is that of the oldest
// unfinished message. Method: compare with a plain list of finished messages.
test('for any order in which messages end, each card is in order and the place is that of the oldest', () => {
  const message = fc.record({
    gap: fc.integer({ min: 1, max: 3 }),
    card: fc.constantFrom('a', 'b', 'c', null),
  })
  fc.assert(
    fc.property(
      fc.array(message, { maxLength: 40 }),
      fc.infiniteStream(fc.nat()),
      (messages, choices) => {
        const window = new DeliveryWindow<null>(0)
        const open: WindowEntry<null>[] = []
        const undone = new Map<number, string>()
        let offset = -1
        const nextChoice = (): number => choices.next().value as number
        const endOne = (choice: number): void => {
          const [entry] = open.splice(choice % open.length, 1)
          if (entry === undefined) return
          const earlier = [...undone].filter(
            ([at, card]) => card === entry.card && at < entry.offset,
          )
          deepStrictEqual(earlier, [])
          undone.delete(entry.offset)
          const next = window.done(entry)
          if (next !== null) open.push(next)
          const oldest = Math.min(...undone.keys())
          strictEqual(window.nextOffset, undone.size === 0 ? offset + 1 : oldest)
        }
        for (const { gap, card } of messages) {
          offset += gap
          if (card === null) window.pass(offset)
          else {
            undone.set(offset, card)
            const ready = window.add(offset, card, null)
            if (ready !== null) open.push(ready)
          }
          strictEqual(window.takenTo, offset + 1)
          const choice = nextChoice()
          if (choice % 2 === 0 && open.length > 0) endOne(choice)
        }
        while (open.length > 0) endOne(nextChoice())
        strictEqual(undone.size, 0)
        strictEqual(window.size, 0)
      },
    ),
  )
})
