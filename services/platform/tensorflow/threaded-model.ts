// A model that is scored in a thread of its own: rows are transferred there, and scores are transferred back in
// order. The thread runs the same code as this one (docs/adr/0014), so the bits are the same.

import { SHARE_ENV, Worker } from 'node:worker_threads'
import { SluiceError, type ErrorCode } from '../../core/errors.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import type { Backend } from '../../core/scoring/scoring-model.ts'
import type { RowScorer } from './row-scorer.ts'

export interface ToWorker {
  readonly id: number
  readonly rows: Float64Array
  readonly rowCount: number
}

export type FromWorker =
  | { readonly kind: 'open'; readonly digest: string }
  | { readonly kind: 'refused'; readonly code: ErrorCode; readonly message: string }
  | { readonly kind: 'scores'; readonly id: number; readonly scores: Float64Array }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string }

export interface ThreadOptions {
  readonly folder: string
  readonly backend: Backend
  readonly referenceCurrency: string
  /** Digest of the model that is open here: the thread must open the same one. */
  readonly digest: string
}

interface Waiting {
  readonly resolve: (scores: Float64Array) => void
  readonly reject: (error: Error) => void
}

/** Starts the thread and opens the model in it. @throws SluiceError of openScoringModel, in the thread. */
export async function openThreadedScorer(options: ThreadOptions): Promise<RowScorer> {
  const { digest, ...model } = options
  const worker = startWorker(model)
  const waiting = new Map<number, Waiting>()
  const refusal = await firstMessage(worker, digest)
  if (refusal !== null) {
    await worker.terminate()
    throw refusal
  }
  const failAll = (error: Error): void => {
    for (const call of waiting.values()) call.reject(error)
    waiting.clear()
  }
  const ended = { error: null as Error | null }
  worker.on('message', (message: FromWorker) => {
    if (message.kind !== 'scores' && message.kind !== 'failed') return
    const call = waiting.get(message.id)
    waiting.delete(message.id)
    if (waiting.size === 0) worker.unref()
    if (message.kind === 'scores') call?.resolve(message.scores)
    else call?.reject(stopped(message.message))
  })
  worker.on('error', (error: unknown) => {
    ended.error ??= stopped(error instanceof Error ? error.message : String(error))
    failAll(ended.error)
  })
  worker.on('exit', () => {
    ended.error ??= stopped('the thread ended')
    failAll(ended.error)
  })
  // The thread keeps the process alive only while a call is pending.
  worker.unref()
  let nextId = 0
  return {
    target: null,
    score(rows, rowCount) {
      if (ended.error !== null) return Promise.reject(ended.error)
      const id = nextId++
      // A copy: the rows belong to the caller, and a transferred buffer is no longer usable.
      const sent = rows.slice(0, rowCount * FEATURE_COUNT)
      return new Promise<Float64Array>((resolve, reject) => {
        waiting.set(id, { resolve, reject })
        worker.ref()
        const message: ToWorker = { id, rows: sent, rowCount }
        worker.postMessage(message, [sent.buffer])
      })
    },
    close() {
      // Synchronously: pending calls must fail whether or not their answer is already on its way.
      ended.error ??= stopped('the model was closed')
      failAll(ended.error)
      void worker.terminate()
    },
  }
}

function startWorker(options: Omit<ThreadOptions, 'digest'>): Worker {
  const isSource = import.meta.url.endsWith('.ts')
  const entry = new URL(isSource ? './scoring-worker.ts' : './scoring-worker.js', import.meta.url)
  // Native libraries read their settings from the environment of the process, not from a copy.
  return new Worker(entry, { execArgv: [], env: SHARE_ENV, workerData: { options } })
}

/** Resolves to null once the model is open in the thread, otherwise to the error. */
function firstMessage(worker: Worker, digest: string): Promise<SluiceError | null> {
  return new Promise((resolve) => {
    worker.once('message', (message: FromWorker) => {
      if (message.kind === 'refused') resolve(new SluiceError(message.code, message.message))
      else if (message.kind === 'open' && message.digest === digest) resolve(null)
      else resolve(stopped('the model folder changed while it was being opened'))
    })
    worker.once('error', (error: unknown) => {
      resolve(stopped(error instanceof Error ? error.message : String(error)))
    })
    worker.once('exit', () => {
      resolve(stopped('the thread ended'))
    })
  })
}

function stopped(why: string): SluiceError {
  return new SluiceError(
    'SLUICE_BACKEND_UNAVAILABLE',
    `The scoring thread does not work: ${why}. Restart the process, or set SLUICE_SCORING_THREAD=main.`,
  )
}
