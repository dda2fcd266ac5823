// The dry run: events as lines of JSON, to look at or to feed to other tools, without any Kafka.

import { once } from 'node:events'
import type { Writable } from 'node:stream'
import type { ProducedEvent } from './watermarks.ts'

/** Writes lines and waits for a slow reader. */
export class NdjsonWriter {
  readonly #output: Writable
  #isClosed = false

  constructor(output: Writable) {
    this.#output = output
    // A reader that has seen enough (such as head) closes the pipe; that ends the run, and is no error.
    output.on('error', () => {
      this.#isClosed = true
    })
  }

  /** True once nobody reads any more. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  write(event: ProducedEvent): Promise<void> | undefined {
    if (this.#isClosed) return undefined
    return this.#output.write(`${JSON.stringify(event)}\n`) ? undefined : this.#drained()
  }

  async #drained(): Promise<void> {
    try {
      await once(this.#output, 'drain')
    } catch {
      this.#isClosed = true
    }
  }
}
