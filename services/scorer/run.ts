// The scorer as a process: starts it from the environment, and stops it within a limit.

import { redactText } from '../core/card-numbers.ts'
import { isSluiceError } from '../core/errors.ts'
import { warnOfBuiltInKey } from '../platform/config/secrets.ts'
import { openLogger } from '../platform/log.ts'
import { loadScorerConfig } from './config.ts'
import { openScorer, type ScorerAdapters } from './scorer.ts'

/** A scorer that was asked to stop exits after this time at the latest. Its supervisor must wait longer. */
export const STOP_MS_MAX = 5_000
const EXIT_UNEXPECTED = 70

/** Runs until SIGTERM, SIGINT or the exit of a parent that holds a channel to us. Resolves with the exit code. */
export async function runScorer(
  env: NodeJS.ProcessEnv,
  adapters?: ScorerAdapters,
): Promise<number> {
  const stop = stopRequested()
  try {
    const config = loadScorerConfig(env)
    const log = openLogger('scorer', config.logLevel, config.logFormat)
    if (config.hasBuiltInHmacKey) warnOfBuiltInKey(log)
    void stop.then(() => {
      setTimeout(() => {
        log.error({}, 'Stopping took too long; the rest is left to the next owner.')
        process.exit(1)
      }, STOP_MS_MAX).unref()
    })
    const scorer = await openScorer(config, log, adapters)
    log.info({ metricsPort: scorer.metricsPort }, 'Scorer ready.')
    process.send?.({ kind: 'ready', metricsPort: scorer.metricsPort })
    const failure = await Promise.race([stop, scorer.failed])
    if (failure instanceof Error) log.error({ error: failure }, 'The scorer cannot continue.')
    await scorer.close()
    log.info({}, 'Scorer stopped.')
    return failure instanceof Error ? 1 : 0
  } catch (error) {
    const isKnown = isSluiceError(error)
    const text = isKnown ? error.message : error instanceof Error ? error.stack : String(error)
    process.stderr.write(`${redactText(text ?? '')}\n`)
    return isKnown ? error.exitCode : EXIT_UNEXPECTED
  }
}

function stopRequested(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'disconnect'] as const) {
      process.on(signal, () => {
        resolve()
      })
    }
  })
}
