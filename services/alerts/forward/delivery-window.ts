// What one partition has in hand: messages in their order, which of them may go out now, and up to where all are done.
//
// A message waits for those of its card before it, so that a release never overtakes its block; other cards do not
// wait. The offset to commit is that of the first message that is not done, however many behind it are.

/** One message in hand. */
export interface WindowEntry<Item> {
  readonly offset: number
  readonly card: string
  readonly item: Item
}

interface Place<Item> extends WindowEntry<Item> {
  isDone: boolean
}

export class DeliveryWindow<Item> {
  /** By offset; those done at the start are cut off. */
  readonly #places: Place<Item>[] = []
  /** By card: those not done, in order. Only the first of each may go out. */
  readonly #cards = new Map<string, Place<Item>[]>()
  #nextOffset: number

  /** `nextOffset`: first offset of the partition that is not done. */
  constructor(nextOffset: number) {
    this.#nextOffset = nextOffset
  }

  /** Messages in hand, done ones that wait for an earlier one included. */
  get size(): number {
    return this.#places.length
  }

  /** First offset that is not done. */
  get nextOffset(): number {
    return this.#places[0]?.offset ?? this.#nextOffset
  }

  /** Where the next message to take is, or after. */
  get takenTo(): number {
    return this.#nextOffset
  }

  /** The oldest message that is not done. */
  get oldest(): WindowEntry<Item> | null {
    return this.#places[0] ?? null
  }

  /** Takes the next message of the partition. Returns it when it may go out at once, else null. */
  add(offset: number, card: string, item: Item): WindowEntry<Item> | null {
    const place = { offset, card, item, isDone: false }
    this.#places.push(place)
    this.#nextOffset = offset + 1
    const before = this.#cards.get(card)
    if (before === undefined) {
      this.#cards.set(card, [place])
      return place
    }
    before.push(place)
    return null
  }

  /** Takes a message that nothing is to be done about. */
  pass(offset: number): void {
    this.#nextOffset = offset + 1
    if (this.#places.length === 0) return
    this.#places.push({ offset, card: '', item: undefined as Item, isDone: true })
  }

  /** Notes that a message is done. Returns the next of its card, which may go out now. */
  done({ offset, card }: WindowEntry<Item>): WindowEntry<Item> | null {
    const waiting = this.#cards.get(card)
    const first = waiting?.[0]
    if (waiting === undefined || first?.offset !== offset) {
      throw new Error(`Offset ${offset} is not the first of its card.`)
    }
    waiting.shift()
    first.isDone = true
    let count = 0
    while (this.#places[count]?.isDone === true) count += 1
    this.#places.splice(0, count)
    const next = waiting[0]
    if (next === undefined) this.#cards.delete(card)
    return next ?? null
  }
}
