// The thread that scores, where a model is so large that it would hold up fetching and commits. Started by
// threaded-model.ts; it does work when it is imported, as an entry does.

import { parentPort, workerData } from 'node:worker_threads'
import { isSluiceError } from '../../core/errors.ts'
import { openScoringModel, type OpenModelOptions } from './scoring-model.ts'
import type { FromWorker, ToWorker } from './threaded-model.ts'

const port = parentPort
if (port === null) throw new Error('scoring-worker.ts is for a worker thread.')

const answer = (message: FromWorker, transfer: readonly ArrayBuffer[] = []): void => {
  port.postMessage(message, transfer)
}

try {
  const { options } = workerData as { readonly options: OpenModelOptions }
  const model = await openScoringModel({ ...options, thread: 'main' })
  port.on('message', ({ id, rows, rowCount }: ToWorker) => {
    // What a backend throws at once and what it rejects with are told alike.
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
