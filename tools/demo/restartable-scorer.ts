// The demo's scorer, which a fault may stop and start again without that being a failure of the demo.

import type { SluiceError } from '../../services/core/errors.ts'
import { startScorer, type ScorerProcess } from './scorer-process.ts'

export interface RestartableScorer extends ScorerProcess {
  /** Stops the process until `resume`. */
  halt(): Promise<void>
  /** Starts it again, on the same port for metrics. Resolves once it has joined its group. */
  resume(): Promise<void>
}

/** Starts the scorer as `startScorer` does. */
export async function startRestartableScorer(
  env: NodeJS.ProcessEnv,
  logFile: string,
  signal: AbortSignal,
): Promise<RestartableScorer> {
  let current = await startScorer(env, logFile, signal)
  const { metricsPort } = current
  let fail: (error: SluiceError) => void = () => undefined
  const failed = new Promise<SluiceError>((resolve) => {
    fail = resolve
  })
  void current.failed.then(fail)
  return {
    get pid() {
      return current.pid
    },
    metricsPort,
    failed,
    stop: () => current.stop(),
    halt: () => current.stop(),
    async resume() {
      const port = { SLUICE_METRICS_PORT: String(metricsPort) }
      current = await startScorer({ ...env, ...port }, logFile, signal)
      void current.failed.then(fail)
    },
  }
}
