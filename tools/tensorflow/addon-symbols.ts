// Whether the functions that an addon calls are in the libraries beside it. A missing one would end the process at
// its first call, not at the start.

import { runProgram } from '../servers/run-program.ts'

const NM_LIMIT_MS = 120_000
const TENSORFLOW_FUNCTION = /\b(?:TFE?_\w+)/

export interface SymbolCheck {
  /** Functions of TensorFlow that the addon calls. */
  readonly wanted: number
  /** Those of them that no library has. */
  readonly missing: readonly string[]
}

/** Compares what `addon` wants with what the libraries have. @throws Error with what `nm` said. */
export async function checkSymbols(
  nm: string,
  addon: string,
  libraries: readonly string[],
  signal?: AbortSignal,
): Promise<SymbolCheck> {
  const wanted = await symbolsOf(nm, '--undefined-only', addon, signal)
  const present = new Set<string>()
  for (const library of libraries) {
    for (const name of await symbolsOf(nm, '--defined-only', library, signal)) present.add(name)
  }
  return { wanted: wanted.size, missing: [...wanted].filter((name) => !present.has(name)).sort() }
}

async function symbolsOf(
  nm: string,
  which: '--undefined-only' | '--defined-only',
  file: string,
  signal: AbortSignal | undefined,
): Promise<ReadonlySet<string>> {
  const names = new Set<string>()
  // Filtered by the shell: a library of TensorFlow has hundreds of thousands of symbols.
  const { code, output } = await runProgram(
    'sh',
    ['-c', '"$1" -D "$2" "$3" | grep -E " TFE?_[A-Za-z]" || true', 'sh', nm, which, file],
    { limitMs: NM_LIMIT_MS, signal },
  )
  if (code !== 0) throw new Error(`${nm} cannot read ${file}: ${output.trim().slice(-200)}`)
  for (const line of output.split('\n')) {
    const name = TENSORFLOW_FUNCTION.exec(line)?.[0]
    if (name !== undefined) names.add(name)
  }
  return names
}
