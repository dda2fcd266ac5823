// The thread that scores a model so large that it would block fetching and commits. threaded-model.ts starts it; like
// an entry it works when it is imported.

import { parentPort, workerData } from 'node:worker_threads'
import { isSluiceError } from '../../core/errors.ts'
import { installOwnCatalogue } from '../own-catalogue.ts'
import type { OpenModelOptions } from './scoring-model.ts'
import type { FromWorker, ToWorker } from './threaded-model.ts'

const port = parentPort
if (port === null) throw new Error('scoring-worker.ts runs in a worker thread only.')

const answer = (message: FromWorker, transfer: readonly ArrayBuffer[] = []): void => {
  port.postMessage(message, transfer)
}

try {
  const { options } = workerData as { readonly options: OpenModelOptions }
  installOwnCatalogue(process.env)
  const { openScoringModel } = await import('./scoring-model.ts')
  const model = await openScoringModel({ ...options, thread: 'main' })
  port.on('message', ({ id, rows, rowCount }: ToWorker) => {
    // Errors that a backend throws and promises that it rejects are reported alike.
    void Promise.resolve()
      .then(() => model.score(rows, rowCount))
      .then(
        (scores) => {
          answer({ kind: 'scores', id, scores }, [scores.buffer as ArrayBuffer])
        },
        (error: unknown) => {
          answer({ kind: 'failed', id, message: messageOf(error) })
        },
      )
  })
  answer({ kind: 'open', digest: model.info.digest })
} catch (error) {
  const code = isSluiceError(error) ? error.code : 'SLUICE_BACKEND_UNAVAILABLE'
  answer({ kind: 'refused', code, message: messageOf(error) })
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
