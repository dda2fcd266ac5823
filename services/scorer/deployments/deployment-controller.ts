// Puts deployments from the control topic into service, one after the other. Of several that wait, only the newest
// counts. A refused deployment is tried again later: its model may arrive or be repaired.

import type { Choice, Deployment } from '../../core/control/deployment.ts'
import type { Closable } from '../../platform/lifecycle.ts'

const RETRY_MS = 10_000

export type DeploymentRole = 'active' | 'shadow'

/** A deployment with the offset of its message. */
export interface Wanted {
  readonly deployment: Deployment
  readonly position: number
}

export interface DeploymentControllerDeps {
  /** Puts the deployment into this role. @throws when it cannot serve; the current one keeps serving. */
  readonly serve: (role: DeploymentRole, wanted: Wanted) => Promise<void>
  /** Called with the result; a null error means that it serves. */
  readonly judged: (role: DeploymentRole, error: unknown, wanted: Wanted) => void
}

export class DeploymentController implements Closable {
  readonly #deps: DeploymentControllerDeps
  #wanted: Wanted | null = null
  #working: Promise<void> = Promise.resolve()
  #isWorking = false
  #retry: NodeJS.Timeout | null = null
  #isClosed = false

  constructor(deps: DeploymentControllerDeps) {
    this.#deps = deps
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Requests a deployment. Returns at once. */
  want(deployment: Deployment, position: number): void {
    this.#wanted = { deployment, position }
    this.#work()
  }

  /** Resolves when every requested deployment serves or is refused. */
  async settled(): Promise<void> {
    await this.#working
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

  /** True when the requested deployment serves in this role. */
  async #serve(role: DeploymentRole, wanted: Wanted): Promise<boolean> {
    try {
      await this.#deps.serve(role, wanted)
      this.#deps.judged(role, null, wanted)
      return true
    } catch (error) {
      this.#deps.judged(role, error, wanted)
      return false
    }
  }
}

/** The first of the earlier choices that can be opened, up to the configured one; null for that one. */
export async function firstOpened<Opened>(
  earlier: readonly Choice[],
  isConfigured: (choice: Choice) => boolean,
  open: (choice: string) => Promise<Opened>,
): Promise<Opened | null> {
  for (const choice of earlier) {
    if (choice === null || isConfigured(choice)) return null
    const opened = await open(choice).catch(() => null)
    if (opened !== null) return opened
  }
  return null
}
