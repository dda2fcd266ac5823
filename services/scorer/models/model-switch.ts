// Brings into service what the control topic asks for: opens and warms a model beside the lanes, then switches, so that
// every lane's next batch has it. What cannot be opened is refused, loudly, and what serves goes on serving.

import type { ModelChoice, ModelWish } from '../../core/control/model-control.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { Closable } from '../../platform/lifecycle.ts'
import type { Logger } from '../../platform/log.ts'
import type { ModelEvents, ModelRole } from '../../platform/metrics/model-metrics.ts'
import { refusalOf } from './model-opener.ts'
import type { ServedModels } from './served-models.ts'

/** A refused model is looked at again this often: its folder may come, or be repaired. */
const RETRY_MS = 10_000

/** Where a shadow is put; it takes over the model and closes it. */
export interface ShadowSlot {
  readonly digest: string | null
  set(model: ScoringModel | null): void
}

export interface ModelSwitchDeps {
  /** Opens and warms a model. */
  readonly open: (choice: ModelChoice) => Promise<ScoringModel>
  /** Digest that stands for the configured model. */
  readonly configuredDigest: string
  readonly served: ServedModels
  readonly shadow: ShadowSlot
  /** Called after each switch of the deciding model. */
  readonly onSwitched: () => void
  readonly telemetry: ModelEvents
  readonly log: Logger
}

interface Wanted {
  readonly wish: ModelWish
  readonly position: number
}

/** One wish after the other; of several that wait, only the newest counts. */
export class ModelSwitch implements Closable {
  readonly #deps: ModelSwitchDeps
  #wanted: Wanted | null = null
  #working: Promise<void> = Promise.resolve()
  #isWorking = false
  #retry: NodeJS.Timeout | null = null
  #isClosed = false

  constructor(deps: ModelSwitchDeps) {
    this.#deps = deps
  }

  /** Asks for models. Returns at once. */
  want(wish: ModelWish, position: number): void {
    this.#wanted = { wish, position }
    this.#work()
  }

  /** Resolves when everything asked for so far serves or is refused. */
  async settled(): Promise<void> {
    await this.#working
  }

  /**
   * At the start of a process, when nothing has been decided yet: a refused model leaves the place to the last one
   * before it that can be opened, and at last to the configured one.
   */
  async startWith(wish: ModelWish, position: number): Promise<void> {
    this.want(wish, position)
    await this.settled()
    const { served, configuredDigest, log } = this.#deps
    if (digestOf(wish.active, configuredDigest) === served.current.model.info.digest) return
    for (const choice of wish.earlier) {
      if (choice === null || choice === configuredDigest) return
      const model = await this.#deps.open(choice).catch(() => null)
      if (model === null) continue
      const { version: modelVersion, digest } = model.info
      log.warn({ modelVersion, digest }, 'The model before the refused one serves.')
      served.replace(model, null)
      this.#deps.onSwitched()
      return
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#retry !== null) clearTimeout(this.#retry)
    await this.#working
  }

  #work(): void {
    if (this.#isWorking || this.#isClosed) return
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#isWorking = true
    this.#working = this.#follow().finally(() => {
      this.#isWorking = false
    })
  }

  async #follow(): Promise<void> {
    for (;;) {
      const wanted = this.#wanted
      if (wanted === null || this.#isClosed) return
      const isActive = await this.#serve('active', wanted)
      const isShadow = await this.#serve('shadow', wanted)
      if (this.#wanted !== wanted) continue
      if (!isActive || !isShadow) this.#retryLater()
      return
    }
  }

  #retryLater(): void {
    if (this.#isClosed) return
    this.#retry = setTimeout(() => {
      this.#work()
    }, RETRY_MS)
    this.#retry.unref()
  }

  /** True when what is wanted serves in this role. */
  async #serve(role: ModelRole, wanted: Wanted): Promise<boolean> {
    const { telemetry, log } = this.#deps
    try {
      if (role === 'active') await this.#serveActive(wanted)
      else await this.#serveShadow(wanted)
      telemetry.modelJudged(role, null)
      return true
    } catch (error) {
      const reason = refusalOf(error)
      telemetry.modelJudged(role, reason)
      const { position, wish } = wanted
      const digest = role === 'active' ? wish.active : wish.shadow
      log.error({ role, reason, digest, position, error }, 'A model is refused.')
      return false
    }
  }

  async #serveActive({ wish, position }: Wanted): Promise<void> {
    const { served, configuredDigest, onSwitched, telemetry, log } = this.#deps
    if (digestOf(wish.active, configuredDigest) === served.current.model.info.digest) {
      served.confirm(position)
      return
    }
    const model = await this.#deps.open(wish.active)
    if (this.#isClosed) {
      model.close()
      return
    }
    served.replace(model, position)
    telemetry.modelSwitched('active')
    onSwitched()
    const { version: modelVersion, digest, backend } = model.info
    log.info({ modelVersion, digest, backend, position }, 'Another model decides from now on.')
  }

  async #serveShadow({ wish: { shadow: wanted } }: Wanted): Promise<void> {
    const { shadow, telemetry, log } = this.#deps
    if (wanted === shadow.digest) return
    if (wanted === null) {
      shadow.set(null)
      telemetry.modelServes('shadow', null)
      log.info({}, 'No model runs in the shadow any more.')
      return
    }
    const model = await this.#deps.open(wanted)
    if (this.#isClosed) {
      model.close()
      return
    }
    shadow.set(model)
    telemetry.modelSwitched('shadow')
    telemetry.modelServes('shadow', model.info)
    const { version: modelVersion, digest } = model.info
    log.info({ modelVersion, digest }, 'A model runs in the shadow.')
    if (model.verifier !== null) {
      log.warn(
        { modelVersion, digest },
        'The model in the shadow is a cascade: it is judged by its draft alone, which alerts more than the whole does.',
      )
    }
  }
}

function digestOf(choice: ModelChoice, configuredDigest: string): string {
  return choice ?? configuredDigest
}
