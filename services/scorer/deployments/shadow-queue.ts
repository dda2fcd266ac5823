// Work on what was decided that nobody waits for: batches in a bounded queue, a slice in each turn of the event loop, so
// that the partitions go on in between. What finds no place is left out; its owner counts it.

export interface ShadowQueueOptions<Batch> {
  /** Rows that may wait, over all partitions. */
  readonly rowsMax: number
  /** Rows of one turn: well below what a partition would notice. */
  readonly sliceRows: number
  /** Works on rows [from, to) of a batch; `isWanted` is false once the queue was emptied meanwhile. */
  readonly step: (
    batch: Batch,
    from: number,
    to: number,
    isWanted: () => boolean,
  ) => Promise<void> | void
  /** Told of a step that has failed, and of the rows that are left out for it. */
  readonly failed: (error: unknown, rows: number) => void
  /** Told each time that nothing is left to do. */
  readonly rested?: () => void
}

interface Waiting<Batch> {
  readonly batch: Batch
  readonly rows: number
  next: number
}

export class ShadowQueue<Batch> {
  readonly #options: ShadowQueueOptions<Batch>
  #queue: Waiting<Batch>[] = []
  #rowsWaiting = 0
  #turn: Promise<void> | null = null

  constructor(options: ShadowQueueOptions<Batch>) {
    this.#options = options
  }

  /** True while a step may be at work. */
  get isWorking(): boolean {
    return this.#turn !== null
  }

  hasRoomFor(rows: number): boolean {
    return this.#rowsWaiting + rows <= this.#options.rowsMax
  }

  /** Asks for a batch that there is room for. Returns at once. */
  push(batch: Batch, rows: number): void {
    this.#queue.push({ batch, rows, next: 0 })
    this.#rowsWaiting += rows
    this.#turn ??= this.#work()
  }

  /** Leaves out what waits. */
  empty(): void {
    this.#queue = []
    this.#rowsWaiting = 0
  }

  /** Resolves when the step in hand has ended, if there is one; call `empty` after it. */
  async rest(): Promise<void> {
    await this.#turn
  }

  async #work(): Promise<void> {
    const { sliceRows, step, failed, rested } = this.#options
    try {
      for (;;) {
        await new Promise((resolve) => setImmediate(resolve))
        const [waiting] = this.#queue
        if (waiting === undefined) return
        const { batch, rows, next: from } = waiting
        const to = Math.min(from + sliceRows, rows)
        waiting.next = to
        const isWanted = (): boolean => this.#queue[0] === waiting
        await step(batch, from, to, isWanted)
        if (!isWanted()) continue
        this.#rowsWaiting -= to - from
        if (to >= rows) this.#queue.shift()
      }
    } catch (error) {
      failed(error, this.#rowsWaiting)
      this.empty()
    } finally {
      this.#turn = null
      rested?.()
    }
  }
}
