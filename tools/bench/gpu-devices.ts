// Which GPUs a machine has, in the words of their driver: what stands beside every figure that was measured on one.

import { runProgram } from '../servers/run-program.ts'

const LIMIT_MS = 10_000

/** One line per NVIDIA GPU with its driver; none where its tool does not run. */
export async function readGpus(): Promise<readonly string[]> {
  const { code, output } = await runProgram(
    'nvidia-smi',
    ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader'],
    { limitMs: LIMIT_MS },
  )
  if (code !== 0) return []
  return output
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
}
