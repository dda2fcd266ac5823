// Scorer process: transactions and labels in, decisions and alerts out.

import { redactText } from '../core/card-numbers.ts'
import { isSluiceError } from '../core/errors.ts'
import { installOwnCatalogue } from '../platform/own-catalogue.ts'

// A handle that is still open after closing must not keep the process alive.
process.exit(await runWithCatalogue())

async function runWithCatalogue(): Promise<number> {
  try {
    installOwnCatalogue(process.env)
  } catch (error) {
    if (!isSluiceError(error)) throw error
    process.stderr.write(`${redactText(error.message)}\n`)
    return error.exitCode
  }
  // Everything below computes features, so it is loaded with the catalogue in place.
  const { runScorer } = await import('./run.ts')
  return runScorer(process.env)
}
