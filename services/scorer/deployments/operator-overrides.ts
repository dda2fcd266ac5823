// Overrides of operators from the control topic: released leases, and resets of the breakers. Partitions read them
// between batches; their effects are in the alerts.

import { breakerResetsOf, type PersonRelease, releaseOf } from '../../core/control/deployment.ts'
import type { Control } from '../../core/wire/records.ts'

/** Most releases that are remembered; beyond that the oldest are forgotten. */
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

  /** Changes whenever an override arrives. */
  get version(): number {
    return this.#version
  }

  get breakerResets(): number {
    return this.#resets
  }

  /** True when an operator has released this alert's lease of the card. */
  isReleased(card: string, alertId: string): boolean {
    return this.#releases.get(card)?.alertId === alertId
  }

  /** Accepts any control message, and ignores those that are no override. */
  accept(control: Control): void {
    const resets = breakerResetsOf(control)
    const release = releaseOf(control)
    if (resets !== null) this.#resets = Math.max(this.#resets, resets)
    if (release !== null) this.#remember(release)
    if (resets === null && release === null) return
    this.#version += 1
    this.#onNews()
  }

  /** `onNews` is called after each override. */
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
