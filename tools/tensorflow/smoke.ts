// Whether what was installed computes, and on what. In a process of its own: a native library that fails may end its
// process, and this one goes on.

import { join } from 'node:path'
import { SluiceError } from '../../services/core/errors.ts'
import { runProgram } from '../servers/run-program.ts'
import type { InstallKind } from './recipe.ts'

const SMOKE_LIMIT_MS = 120_000
const TAIL_LINES = 4

/** What a smoke test saw. `none`: it runs, and finds nothing here to compute on. */
export interface SmokeResult {
  readonly device: 'gpu' | 'cpu' | 'none'
  /** Library or device, in words. */
  readonly detail: string
}

/**
 * A matrix product and a sigmoid on what lies in `folder`.
 * @throws SluiceError SLUICE_PROVISION_FAILED with the last words of the process.
 */
export async function smoke(
  kind: InstallKind,
  folder: string,
  { root, signal }: { readonly root: string; readonly signal?: AbortSignal | undefined },
): Promise<SmokeResult> {
  const script = join(
    root,
    'infra',
    kind === 'webgpu' ? 'webgpu/smoke.mjs' : 'tensorflow/smoke.cjs',
  )
  const { code, output } = await runProgram(process.execPath, [script, folder], {
    limitMs: SMOKE_LIMIT_MS,
    signal,
  })
  signal?.throwIfAborted()
  const [, word, detail = ''] = /^(OK gpu|OK cpu|NONE) (.*)$/m.exec(output) ?? []
  if (code === 0 && word !== undefined) {
    return { device: word === 'OK gpu' ? 'gpu' : word === 'OK cpu' ? 'cpu' : 'none', detail }
  }
  const tail = output.trimEnd().split('\n').slice(-TAIL_LINES).join('\n')
  throw new SluiceError(
    'SLUICE_PROVISION_FAILED',
    `${folder} does not compute (${code === null ? 'ended' : `exit code ${code}`}):\n${tail}`,
  )
}
