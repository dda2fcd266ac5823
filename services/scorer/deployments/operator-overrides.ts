// What operators have said of blocks on the control topic: leases that people have released, and how often they have
// reset the breakers. Partitions look at it between batches; what they did about it is in the alerts.

import { breakerResetsOf, type PersonRelease, releaseOf } from '../../core/control/deployment.ts'
import type { Control } from '../../core/wire/records.ts'

/** Releases that are remembered; of more, the oldest are forgotten. */
export const RELEASES_MAX = 100_000

export class OperatorOverrides {
  readonly #releases = new Map<string, PersonRelease>()
  readonly #releasesMax: number
  #version = 0
  #resets = 0
  #onNews: () => void = () => undefined

  constructor(releasesMax = RELEASES_MAX) {
    this.#releasesMax = releasesMax
  }

  /** Another number means that there is news. */
  get version(): number {
    return this.#version
  }

  get breakerResets(): number {
    return this.#resets
  }

  /** True when a person has released this alert's lease of the card. */
  isReleased(card: string, alertId: string): boolean {
    return this.#releases.get(card)?.alertId === alertId
  }

  /** Takes any control message; those about other things say nothing here. */
  accept(control: Control): void {
    const resets = breakerResetsOf(control)
    const release = releaseOf(control)
    if (resets !== null) this.#resets = Math.max(this.#resets, resets)
    if (release !== null) this.#remember(release)
    if (resets === null && release === null) return
    this.#version += 1
    this.#onNews()
  }

  /** `onNews` is called after each message that says something. */
  listen(onNews: () => void): void {
    this.#onNews = onNews
  }

  #remember(release: PersonRelease): void {
    this.#releases.delete(release.card)
    this.#releases.set(release.card, release)
    if (this.#releases.size <= this.#releasesMax) return
    const [oldest] = this.#releases.keys()
    if (oldest !== undefined) this.#releases.delete(oldest)
  }
}
