// Puts the rate table that the control topic names into force. It reads the table by digest from the store, checks it,
// then switches, so that the next batch of every partition uses it and records its digest. A table that is refused
// leaves the last one in force.

import type { Deployment } from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import { firstDifferenceMs, type RateTable } from '../../core/rates/rate-table.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import { type RatesEvents, ratesRefusalOf } from '../../platform/metrics/deployment-metrics.ts'
import { DeploymentController, firstOpened, type Wanted } from './deployment-controller.ts'

export interface RatesSwitchDeps {
  /** The table that decides until another one is named. */
  readonly configured: RateTable
  /** Reads and checks a table of the store. */
  readonly open: (digest: string) => Promise<RateTable>
  readonly telemetry: RatesEvents
  readonly log: Logger
}

export class RatesSwitch implements Closable {
  readonly #deps: RatesSwitchDeps
  readonly #switch: DeploymentController
  #rates: RateTable
  #position: number | null = null

  constructor(deps: RatesSwitchDeps) {
    this.#deps = deps
    this.#rates = deps.configured
    this.#switch = new DeploymentController({
      serve: (role, wanted) => (role === 'active' ? this.#serve(wanted) : Promise.resolve()),
      judged: (role, error, wanted) => {
        if (role === 'active') this.#judged(error, wanted)
      },
    })
  }

  /** The table in force, and the offset of the control message that named it; null when none did. */
  get current(): { readonly rates: RateTable; readonly position: number | null } {
    return { rates: this.#rates, position: this.#position }
  }

  /** Requests a table. Returns at once. */
  want(deployment: Deployment, position: number): void {
    this.#switch.want(deployment, position)
  }

  /** Used at the start of a process. If the table is refused, the last earlier one that can be read serves instead. */
  async startWith(deployment: Deployment, position: number): Promise<void> {
    this.want(deployment, position)
    await this.#switch.settled()
    const { configured, log } = this.#deps
    if ((deployment.active ?? configured.digest) === this.#rates.digest) return
    const before = await firstOpened(
      deployment.earlier,
      (choice) => choice === configured.digest,
      (digest) => this.#open(digest),
    )
    this.#rates = before ?? configured
    log.warn(
      { digest: this.#rates.digest },
      'An earlier rate table converts instead of the refused one.',
    )
  }

  close(): Promise<void> {
    return this.#switch.close()
  }

  async #serve({ deployment: { active }, position }: Wanted): Promise<void> {
    const before = this.#rates
    const digest = active ?? this.#deps.configured.digest
    if (digest !== before.digest) {
      const opened = await this.#open(digest)
      if (this.#switch.isClosed) return
      this.#rates = opened
      const { telemetry, log } = this.#deps
      telemetry.ratesSwitched()
      const changedFromMs = firstDifferenceMs(before, this.#rates)
      const from = changedFromMs === null ? null : new Date(changedFromMs).toISOString()
      log.info({ digest, position, from }, 'Rate table replaced.')
    }
    this.#position = position
  }

  async #open(digest: string): Promise<RateTable> {
    const { configured, open } = this.#deps
    const table = digest === configured.digest ? configured : await open(digest)
    if (table.reference === configured.reference) return table
    throw new SluiceError(
      'SLUICE_RATES_INVALID',
      `The rate table ${digest} converts to ${table.reference}, but this stream to ${configured.reference}: the amounts of ` +
        'its state cannot be converted again. Activate a table with the same reference currency (docs/money.md).',
    )
  }

  #judged(error: unknown, { deployment, position }: Wanted): void {
    const { telemetry, log } = this.#deps
    const reason = error === null ? null : ratesRefusalOf(error)
    telemetry.ratesJudged(reason)
    if (reason === null) return
    log.error({ reason, digest: deployment.active, position, error }, 'A rate table is refused.')
  }
}
