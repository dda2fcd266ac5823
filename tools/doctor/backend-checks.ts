// Which scoring backends load here. The optional ones need native libraries that npm cannot always bring.

import { BACKENDS } from '../../services/core/scoring/scoring-model.ts'
import { BackendProblem, openBackend } from '../../services/platform/tensorflow/load-tensorflow.ts'
import { ok, warn, fail, type Check } from './finding.ts'

/** Tries one backend. Resolves to what was seen; rejects with why it does not work. */
export interface BackendProbe {
  readonly name: string
  readonly probe: () => Promise<string>
}

/** The scorer's own ladder also asks each to reproduce the model's golden vectors. */
const DEFAULT_BACKEND_PROBES: readonly BackendProbe[] = BACKENDS.map((name) => ({
  name,
  probe: async () => {
    const { detail } = await openBackend(name)
    return `computes (${detail})`
  },
}))

const REASON_CHARACTERS_MAX = 120

/** One check over all backends: fine as soon as a fast one loads, and none that is installed fails. */
export function backendCheck(probes: readonly BackendProbe[] = DEFAULT_BACKEND_PROBES): Check {
  return {
    name: 'Scoring backends',
    async look() {
      const loaded: string[] = []
      const seen: string[] = []
      let isRefused = false
      // One after the other: they share TensorFlow.js' registry of backends.
      for (const { name, probe } of probes) {
        try {
          seen.push(`${name}: ${await probe()}`)
          loaded.push(name)
        } catch (error) {
          isRefused ||= !isAbsent(error)
          seen.push(`${name}: ${reasonOf(error)}`)
        }
      }
      const text = seen.join('; ')
      if (loaded.length === 0) return fail(text, 'Run "npm ci" to bring back the npm dependencies.')
      if (loaded.every((name) => name === 'cpu')) {
        return warn(text, 'Only the slow backend loads. Run "npm ci" to bring back the wasm one.')
      }
      if (isRefused) {
        const remedy =
          'What is installed does not compute here. "sluice tensorflow install --force" makes it again; ' +
          'see docs/backends.md.'
        return warn(text, remedy)
      }
      return ok(text)
    },
  }
}

function isAbsent(error: unknown): boolean {
  return error instanceof BackendProblem && error.refusal === null
}

/** A backend that is not installed is not refused: wasm does without. */
function reasonOf(error: unknown): string {
  if (isAbsent(error)) return 'not installed (optional: "sluice tensorflow install")'
  const message = error instanceof Error ? error.message : String(error)
  return `does not compute (${(message.split('\n')[0] ?? '').slice(0, REASON_CHARACTERS_MAX)})`
}
