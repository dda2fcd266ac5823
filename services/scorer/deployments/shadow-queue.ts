// A bounded queue of decided batches for work that no partition waits for. One slice runs per turn of the event loop,
// and partitions run in between. Batches that find no room are left out, and the owner counts them.

export interface ShadowQueueOptions<Batch> {
  /** Rows that may wait, over all partitions. */
  readonly rowsMax: number
  /** Rows per turn, few enough that no partition notices. */
  readonly sliceRows: number
  /** Processes rows [from, to) of a batch; `isWanted` is false once the queue has been emptied. */
  readonly step: (
    batch: Batch,
    from: number,
    to: number,
    isWanted: () => boolean,
  ) => Promise<void> | void
  /** Called for a step that failed, with the number of rows that are left out because of it. */
  readonly failed: (error: unknown, rows: number) => void
  /** Called whenever the queue becomes empty. */
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

  /** True while a step may be running. */
  get isWorking(): boolean {
    return this.#turn !== null
  }

  hasRoomFor(rows: number): boolean {
    return this.#rowsWaiting + rows <= this.#options.rowsMax
  }

  /** Enqueues a batch if there is room. Returns at once. */
  push(batch: Batch, rows: number): void {
    this.#queue.push({ batch, rows, next: 0 })
    this.#rowsWaiting += rows
    this.#turn ??= this.#work()
  }

  /** Discards waiting batches. */
  empty(): void {
    this.#queue = []
    this.#rowsWaiting = 0
  }

  /** Resolves when the running step, if any, has ended. Call it after `empty`. */
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
