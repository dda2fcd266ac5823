// Scorer process: transactions and labels in, decisions and alerts out.

import { runScorer } from './run.ts'

// A handle that is still open after closing must not keep the process alive.
process.exit(await runScorer(process.env))
